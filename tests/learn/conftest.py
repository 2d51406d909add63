"""The sample data, a cache of this session's own, and tiny runs shared by the tests of learning."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limner.card import Card
from limner.learn import fit
from limner.learn.release import release
from limner.masks.labels import IGNORED
from limner.networks import deeplab
from limner.networks.encoder import build_encoder
from limner.recipe import Recipe

DATA = Path(__file__).parents[1] / "data"

# As the write-up trains: whole pictures in the data's order. 31 horses: 4 steps an epoch.
WHOLE = Recipe(
    name="whole", network="cnn", k=3, NF=4, data=("cifar10:horse",), shuffle=False, batch=8,
    epochs=3,
)  # fmt: skip
# As the photo model trains: crops of several sets, everything that a recipe can ask for.
CROPS = Recipe(
    name="crops", network="resunet", k=3, NF=4, data=("sample=1", "cifar10:all=3"), holdout=8,
    palette="grid", size=32, zoom=0.5, flip=True, tone=0.3, batch=4, steps=9, optimizer="adamw",
    learning_rate=2e-3, warmup=3, schedule="cosine", weight_decay=1e-2, ema=0.9, validate=4, seed=5,
)  # fmt: skip
# To segment: crops of pictures with masks, everything that learns in a network with dropout. Ten
# pictures, two steps an epoch, two pictures left out.
SHAPES = Recipe(
    name="shapes", task="segment", network="deeplabv3", encoder="timm/test_efficientnet", width=8,
    size=32, zoom=0.5, flip=True, tone=0.2, batch=4, epochs=3, learning_rate=1e-2, ema=0.9, seed=3,
)  # fmt: skip

# The color of each class in the pictures of `draw`, so that a picture tells its own mask.
INKS = np.zeros((256, 3), np.uint8)
INKS[[0, 1, 2, IGNORED]] = (20, 50, 80), (230, 60, 40), (60, 220, 110), (240, 240, 240)
Draw = Callable[..., Path]


@pytest.fixture(scope="session")
def inks() -> np.ndarray:
    return INKS


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Write pictures and masks of three classes, in squares of 16 pixels, into folder/SPLIT."""

    def write(
        folder: Path, split: str, count: int, seed: int, numbers: tuple[int, ...] = (0, 1, 2, 255)
    ) -> Path:
        random = np.random.default_rng([seed, count])
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for index in range(count):
            squares = random.choice(numbers, random.integers(3, 6, 2)).astype(np.uint8)
            mask = np.kron(squares, np.ones((16, 16), np.uint8))
            height = mask.shape[0] - int(random.integers(8))
            Image.fromarray(mask[:height]).save(folder / split / "masks" / f"{index}.png")
            picture = Image.fromarray(INKS[mask[:height]])
            picture.save(folder / split / "images" / f"{index}.png")
        (folder / "classes.txt").write_text("nothing 0 0 0\ndisc 200 0 0\nbar 0 200 0\n")
        return folder

    return write


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory, draw: Draw) -> Path:
    """A set of ten pictures with masks to learn from and three to validate on."""
    folder = tmp_path_factory.mktemp("shapes")
    draw(folder, "train", 10, 1)
    return draw(folder, "val", 3, 2)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", autouse=True)
def surroundings(session_cache: Path) -> Iterator[None]:
    """The sample data, never the user's cache, and one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMNER_DATA", str(DATA))
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        # Random in place of pretrained weights, which no test may fetch.
        patch.setattr(deeplab, "load_encoder_weights", random_weights)
        yield
    torch.set_num_threads(threads)


def random_weights(encoder: str) -> dict[str, torch.Tensor]:
    return build_encoder(encoder)[0].state_dict()


@pytest.fixture(scope="session")
def recipes(shapes: Path) -> dict[str, Recipe]:
    here = replace(SHAPES, data=(str(shapes),))
    frozen = replace(here, learn=("classifier.4",))
    paced = replace(here, encoder_rate=0.5)
    return {"whole": WHOLE, "crops": CROPS, "shapes": here, "frozen": frozen, "paced": paced}


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, recipes: dict[str, Recipe]
) -> Callable[[str], Path]:
    """The run of a recipe that never stopped. Shared: copy it before changing it."""
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name) / "run"
            fit.start(recipes[name], folder, precision="fp32", device="cpu")
            made[name] = folder
        return made[name]

    return get


@pytest.fixture(scope="session")
def released(
    finished: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Card, Path]]:
    """The card and the model file of a run, exported once: that takes seconds."""
    made: dict[str, tuple[Card, Path]] = {}

    def get(name: str = "crops") -> tuple[Card, Path]:
        if name not in made:
            path = tmp_path_factory.mktemp("released") / f"{name}.onnx"
            made[name] = (release(finished(name), path), path)
        return made[name]

    return get
