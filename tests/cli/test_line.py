"""The whole line through the command line: recipe, run, model file, scores, a photograph."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.networks import deeplab
from limner.networks.encoder import build_encoder

SAMPLES = Path(__file__).parents[1] / "data"
RECIPE = """
name = "tiny"
network = "unet"
k = 3
NF = 2
data = "cifar10:horse"
palette = "horse24"
batch = 8
steps = 4
"""

SHAPES = """
name = "shapes"
task = "segment"
network = "deeplabv3"
encoder = "timm/test_efficientnet"
width = 8
size = 32
batch = 2
steps = 2
data = "{}"
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMNER_DATA", str(SAMPLES))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_from_a_recipe_to_a_colored_photograph(
    limner: Callable[..., Any], recipe: Path, tmp_path: Path
) -> None:
    run, model, out = tmp_path / "run", tmp_path / "tiny.onnx", tmp_path / "out"
    options = ("--precision", "fp32", "--device", "cpu")
    assert limner("train", recipe, "-o", run, *options).code == 0
    assert limner("train", run).code == 0
    again = limner("train", recipe, "-o", run, *options)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert limner("export", run, "-o", model).code == 0
    again = limner("export", run, "-o", model)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert limner("train", recipe, "-o", tmp_path / "more", "--from", model, *options).code == 0

    scored = json.loads(limner("evaluate", model, "--data", "cifar10:horse", "--json").out)
    assert list(scored) == ["model", "task", "data", "split", "n", "protocol", "rows"]
    assert {"ours", "lookup", "truth"} <= set(scored["rows"])

    photos = SAMPLES / "sample" / "val"
    outcome = limner("colorize", photos, "-o", out, "--model", model, "--compare", "--json")
    assert outcome.code == 0
    for picture in json.loads(outcome.out)["pictures"]:
        with Image.open(picture["input"]) as before, Image.open(picture["output"]) as after:
            assert before.size == after.size == (picture["width"], picture["height"])
            assert before.format == after.format
        assert 0 <= picture["certainty"] <= 1
    assert len(limner("palette", "show", model).out.splitlines()) == 24


def test_from_masks_to_a_segmented_photograph(
    limner: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Random in place of pretrained weights, which no test may fetch.
    monkeypatch.setattr(
        deeplab, "load_encoder_weights", lambda name: build_encoder(name)[0].state_dict()
    )
    data = tmp_path / "shapes"
    for split in ("train", "val"):
        (data / split).mkdir(parents=True)
        for index in range(3):
            mask = np.random.default_rng(index).integers(0, 2, (3, 4), np.uint8)
            mask = mask.repeat(16, axis=0).repeat(16, axis=1)
            Image.fromarray(200 * mask).save(data / split / f"{index}.jpg")
            Image.fromarray(mask).save(data / split / f"{index}.png")
    (data / "classes.txt").write_text("nothing\nsquare\n")
    recipe = tmp_path / "shapes.toml"
    recipe.write_text(SHAPES.format(data))
    run, model, out = tmp_path / "run", tmp_path / "shapes.onnx", tmp_path / "out"
    assert limner("data", "check", data).code == 0
    options = ("--precision", "fp32", "--device", "cpu")
    assert limner("train", recipe, "-o", run, *options).code == 0
    assert limner("export", run, "-o", model).code == 0

    scored = json.loads(limner("evaluate", model, "--data", data, "--json").out)
    assert (scored["task"], scored["n"], list(scored["rows"])) == (
        "segment", 3, ["ours", "majority"],
    )  # fmt: skip
    outcome = limner("segment", data / "val", "-o", out, "--model", model, "--json")
    assert outcome.code == 0
    pictures = json.loads(outcome.out)["pictures"]
    assert len(pictures) == 3  # the masks beside the pictures are none
    for picture in pictures:
        assert set(picture["classes"]) <= {"nothing", "square"}
        with Image.open(picture["mask"]) as mask_file:
            assert mask_file.size == (picture["width"], picture["height"])


def test_sigterm_saves_a_training_and_leaves_with_130(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "limner", "train", str(recipe), "-o", str(run)]
    options = ["--set", "steps=1000000", "--precision", "fp32", "--device", "cpu"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "of 1,000,000" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert f"go on with: limner train {run}" in err.splitlines()[-1]
    assert not [name for name in os.listdir(run) if name.startswith(".")]
