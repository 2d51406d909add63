"""What a study is: a question, the runs that answer it, and the answer."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from limner.dataset import Dataset, find
from limner.errors import StudyError
from limner.recipe import Recipe
from limner.studies.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The write-up's own recipe: Adam, 1e-3, batch 100, 25 epochs, in the data set's order.
WRITEUP = Recipe(
    name="unet",
    network="unet",
    k=3,
    NF=32,
    data=("cifar10:horse",),
    palette="horse24",
    shuffle=False,
    batch=100,
    epochs=25,
    learning_rate=1e-3,
)
QUICK_PICTURES, QUICK_EPOCHS = 1000, 3  # what a quick study learns from, in minutes


@dataclass(frozen=True)
class Setting:
    """How a study is asked for: the data (NAME|PATH), quick or full, and its own folder."""

    data: str
    quick: bool
    folder: Path

    @property
    def base(self) -> Recipe:
        """The write-up's recipe on these data; shorter if the study is quick."""
        recipe = replace(WRITEUP, data=(self.data,))
        if self.quick:
            pictures = min(QUICK_PICTURES, len(find(self.data, recipe.split)))
            return replace(recipe, pictures=pictures, epochs=QUICK_EPOCHS)
        return recipe


Arms = dict[str, tuple[Recipe, ...]]  # what is compared: a name and its runs, which differ in seed
Records = dict[str, tuple[Record, ...]]  # the same names, with what the runs left


def seeded(recipe: Recipe, count: int) -> tuple[Recipe, ...]:
    """The recipe with the seeds 0..count-1."""
    return tuple(replace(recipe, seed=seed) for seed in range(count))


@dataclass(frozen=True)
class Table:
    """Rows of values under a header; numbers stay numbers until they are written."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """What a study found. Each line of the verdict rests on figures that stand in the tables."""

    verdict: list[str]
    tables: dict[str, Table]
    figures: dict[str, "Figure"]
    facts: dict[str, Any] = field(default_factory=dict)  # the same in JSON, for other programs


def pixels(dataset: Dataset) -> NDArray[np.uint8]:
    """The set's pictures uint8 [N, H, W, 3]. Raises StudyError if they are files."""
    if dataset.images is None:
        raise StudyError(
            f"{dataset.name}: files of photographs; the studies compare small pictures of one "
            "size, give cifar10 or a folder in CIFAR-10's binary format"
        )
    return dataset.images


def small_pictures(data: str) -> None:
    """Raise DataError unless the set has pictures of one size in both splits, as CIFAR-10's."""
    for split in ("train", "val"):
        pixels(find(data, split))


@dataclass(frozen=True)
class Study:
    """A question of the write-up: `plan` says which runs it needs, `answer` what they say."""

    name: str
    title: str
    questions: tuple[str, ...]  # the write-up's numbers: A2, B3
    plan: Callable[[Setting], Arms]
    answer: Callable[[Setting, Records], Answer]
    data: str = "cifar10"  # unless another set is named
    check: Callable[[str], None] = small_pictures  # raises DataError for data that will not do
    minutes: tuple[float, float] = (0, 0)  # that the answer measures: quick, full; on two cores
