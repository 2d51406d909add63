"""A small set with masks, a model to begin from, and costs and scores that nobody measured."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from limner import networks
from limner.accounting.rows import Totals
from limner.card import Card
from limner.learn.export import export
from limner.masks.labels import IGNORED, read_classes
from limner.recipe import Recipe
from limner.studies.tuning.cost import ALL, ARMS, CACHED, LAST, Cost, Costs
from limner.studies.tuning.quality import EQUAL_STEPS, EQUAL_TIME, UNTOUCHED, Qualities

INKS = {0: (20, 50, 80), 1: (230, 60, 40), 2: (60, 220, 110), IGNORED: (240, 240, 240)}
SIDES = (224, 448)
COUNTED = Totals(
    parameters=1000, trainable=1000, buffers=10, connections=5000, links=4000, element_ops=100,
    training_forward=5000, input_gradient=4000, weight_gradient=5000, saved=3_000_000,
    optimizer_state=8000, peak_inference=2_000_000, peak_training=7_000_000,
)  # fmt: skip

MakeCosts = Callable[..., Costs]
MakeQualities = Callable[..., Qualities]


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures with masks to learn from, three to validate on; a picture tells its mask."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "classes.txt").write_text("nothing 0 0 0\ndisc 200 0 0\nbar 0 200 0\n")
    random = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 3)):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for index in range(count):
            squares = random.choice(list(INKS), random.integers(3, 6, 2)).astype(np.uint8)
            mask = np.kron(squares, np.ones((16, 16), np.uint8))
            rgb = np.zeros((*mask.shape, 3), np.uint8)
            for number, ink in INKS.items():
                rgb[mask == number] = ink
            Image.fromarray(mask).save(folder / split / "masks" / f"{index}.png")
            Image.fromarray(rgb).save(folder / split / "images" / f"{index}.png")
    return folder


@pytest.fixture(scope="session")
def small(shapes: Path) -> Recipe:
    """A recipe whose last layer learns, in milliseconds a step."""
    return Recipe(
        name="small", task="segment", network="deeplabv3", encoder="timm/test_efficientnet",
        width=8, learn=("classifier.4",), data=(str(shapes),), holdout=2, size=32, zoom=0.5,
        flip=True, views=2, batch=4, steps=1, optimizer="adamw", schedule="cosine",
    )  # fmt: skip


@pytest.fixture(scope="session")
def base(shapes: Path, small: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of the recipe's network, with weights that learned nothing."""
    labels = read_classes(shapes / "classes.txt")
    torch.manual_seed(7)
    network = networks.build("deeplabv3", {"NC": len(labels), **small.network_arguments()})
    card = Card(
        name="base", task="segment", network={"name": "deeplabv3", "arguments": network.arguments},
        input="rgb", working_size=32, stride=network.stride, multiple=network.multiple,
        palette=labels,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("base") / "base.onnx"
    export(network.eval(), card, path)
    return path


@pytest.fixture
def make_costs() -> MakeCosts:
    """make_costs({(arm, side): {field: value}}): costs of every arm at SIDES; those not named take
    0.4 s, 0.1 s and 1 ms a step, four times that at the larger side."""

    def make(changes: Mapping[tuple[str, int], Mapping[str, Any]] | None = None) -> Costs:
        seconds = {ALL: 0.4, LAST: 0.1, CACHED: 0.001}
        made = {}
        for arm in ARMS:
            counted = COUNTED if arm == ALL else replace(COUNTED, trainable=20, input_gradient=0)
            for side, times in zip(SIDES, (1, 4), strict=True):
                half = [times * seconds[arm] / 2] * 3
                cost = Cost(
                    forward=half, backward=half, keeping=[0.08] * 3 if arm == CACHED else [],
                    empty=900_000_000, built=1_000_000_000, peak=1_000_000_000 + times * 10**8,
                    counted=replace(counted, connections=times * counted.connections),
                )  # fmt: skip
                made[arm, side] = replace(cost, **(changes or {}).get((arm, side), {}))
        return made

    return make


@pytest.fixture
def make_qualities() -> MakeQualities:
    """make_qualities({(arm, equal): mean IoUs}, seeds): records of every arm; 0.5 unless named."""

    def make(
        ious: Mapping[tuple[str, str], list[float]] | None = None, seeds: int = 3
    ) -> Qualities:
        made = {}
        names = [(UNTOUCHED, ""), *((arm, EQUAL_STEPS) for arm in ARMS)]
        for name in [*names, (LAST, EQUAL_TIME), (CACHED, EQUAL_TIME)]:
            count = 1 if name[0] == UNTOUCHED else seeds
            made[name] = [
                {
                    "steps": 60 + seed, "seconds": 2.0 + seed, "trainable": 20,
                    "scores": {"loss": 1.0, "accuracy": 0.75, "mean_iou": value},
                }
                for seed, value in enumerate((ious or {}).get(name, [0.5] * count))
            ]  # fmt: skip
        return made

    return make
