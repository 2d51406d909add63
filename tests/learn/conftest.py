"""The sample data, a cache of this session's own, and tiny runs shared by the tests of learning."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from limner.card import Card
from limner.learn import fit
from limner.learn.release import release
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
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def recipes() -> dict[str, Recipe]:
    return {"whole": WHOLE, "crops": CROPS}


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
) -> Callable[[], tuple[Card, Path]]:
    """The card and the model file of the crops' run, exported once: that takes seconds."""
    made: list[tuple[Card, Path]] = []

    def get() -> tuple[Card, Path]:
        if not made:
            path = tmp_path_factory.mktemp("released") / "crops.onnx"
            made.append((release(finished("crops"), path), path))
        return made[0]

    return get
