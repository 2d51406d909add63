"""Each palette with its runs and the simple answers in it: an arm, its tables and its figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from limner.paint.join import join, light_of
from limner.palette import Palette
from limner.studies import answers, figures
from limner.studies.record import Record, unpack
from limner.studies.scoring import Truth
from limner.studies.seeds import over_seeds, told
from limner.studies.study import Records, Setting, Table

PICTURES = 8  # shown of each palette
ERRORS = {"ab_error": "ab error", "de2000": "dE2000"}


@dataclass(frozen=True)
class Arm:
    """One palette: its runs, and the simple answers in it (`answers.simple_answers`)."""

    name: str
    palette: Palette
    runs: tuple[Record, ...]
    simple: dict[str, dict[str, float]]

    def reached(self, column: str) -> list[float]:
        """A score of the network, one a seed."""
        return answers.values(self.runs, column)

    def best(self, column: str) -> float:
        """The score of the true class of every pixel: the best reachable."""
        return self.simple["best possible"][column]

    def lookup(self, column: str) -> float:
        """The score of the grey look-up."""
        return self.simple["grey look-up"][column]


def arms_of(setting: Setting, records: Records) -> list[Arm]:
    """The records with what belongs to each palette."""
    arms = []
    for name, runs in records.items():
        palette = Palette.from_json(runs[0]["palette"])
        simple = answers.simple_answers(setting.data, palette, setting.base.pictures)
        arms.append(Arm(name, palette, runs, simple))
    return arms


def truth(setting: Setting, arm: Arm) -> Truth:
    """The validation pictures in the arm's palette."""
    return answers.truth_of(setting.data, "val", arm.palette)


def error_table(arms: Sequence[Arm], gray: float) -> Table:
    """Best reachable, reached and the look-up's error of each palette."""
    rows: list[tuple[object, ...]] = []
    for arm in arms:
        cells = []
        for column in ERRORS:
            cells += [f"{arm.best(column):.2f}", told(over_seeds(arm.reached(column)), 2)]
            cells += [f"{arm.lookup(column):.2f}", f"{arm.simple['majority class'][column]:.2f}"]
        rows.append((arm.name, len(arm.runs), *cells))
    kinds = ("best reachable", "UNet", "grey look-up", "majority class")
    header = (
        "palette",
        "seeds",
        *(f"{name}, {kind}" for name in ERRORS.values() for kind in kinds),
    )
    note = (
        "Against the true colors, on the original light. Best reachable: the true class of every "
        "pixel, one color; a mixture may lie nearer. The network and the look-up say the expected "
        "color of their distribution, as `limner colorize` does. "
        f"All gray has an ab error of {gray:.2f} whatever the palette."
    )
    return Table("Best reachable error beside the reached", header, rows, note)


def score_table(setting: Setting, arms: Sequence[Arm]) -> Table:
    """Every score of the network and of the simple answers, palette by palette."""
    rows: list[tuple[object, ...]] = []
    for arm in arms:
        even = log(len(arm.palette))
        gained = [told(over_seeds([loss - even for loss in arm.reached("loss")]))]
        gained += [f"{scores['loss'] - even:.3f}" for scores in arm.simple.values()]
        table = answers.scores_table("", {"UNet": arm.runs}, setting.data)
        rows += [(arm.name, *row, gain) for row, gain in zip(table.rows, gained, strict=True)]
    header = ("palette", *table.header, "loss less log K")
    note = (
        "Losses and accuracies of different palettes are not comparable: the classes are others. "
        "Loss less log K: what is gained on an even guess; 0 is none."
    )
    return Table("Scores within each palette", header, rows, f"{note} {answers.PALETTE_NOTE}")


def error_figure(rgb: Sequence[Arm]) -> Figure:
    """Reached, looked-up and best reachable ab error over the number of colors in RGB."""
    numbers = [len(arm.palette) for arm in rgb]
    seeds = min(len(arm.runs) for arm in rgb)
    reached = [[arm.reached("ab_error")[seed] for arm in rgb] for seed in range(seeds)]
    lines = {
        "UNet": (numbers, reached),
        "grey look-up": (numbers, [[arm.lookup("ab_error") for arm in rgb]]),
        "best reachable": (numbers, [[arm.best("ab_error") for arm in rgb]]),
    }
    return figures.curves(lines, "colors (RGB)", "ab error")


def picture_figure(setting: Setting, arms: Sequence[Arm]) -> Figure:
    """Truth, and in each palette the true and the predicted classes' colors."""
    first = truth(setting, arms[0])
    rows = {
        "input": np.repeat(first.grey[:PICTURES, ..., None], 3, axis=-1),
        "truth": first.rgb[:PICTURES],
    }
    for arm in arms:
        own = truth(setting, arm)
        light = own.rgb[:PICTURES]
        rows[f"{arm.name}: best"] = shown(arm.palette, own.classes[:PICTURES], light)
        said = unpack(arm.runs[0]["pictures"])[:PICTURES]
        rows[f"{arm.name}: UNet"] = shown(arm.palette, said, light)
    return figures.pictures(rows)


def shown(
    palette: Palette, classes: NDArray[np.integer[Any]], rgb: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Classes [n, H, W] in their colors; an ab palette's on the light of the pictures `rgb`."""
    if palette.space == "rgb":
        swatches: NDArray[np.uint8] = palette.swatches()[classes]
        return swatches
    n, H, W = classes.shape
    ab = palette.color(classes).reshape(n * H, W, 2)
    light = light_of(rgb.reshape(n * H, W, 3))
    return join(light, ab[..., 0], ab[..., 1]).reshape(n, H, W, 3)
