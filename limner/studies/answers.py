"""What all studies show alike: rows of scores beside the simple answers, curves, pictures."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from limner.dataset import find
from limner.lookup import Lookup
from limner.palette import Palette
from limner.studies.record import Record, unpack
from limner.studies.scoring import Truth, by_class, score
from limner.studies.seeds import over_seeds, told
from limner.studies.study import Table, pixels

COLUMNS = {  # of a table of scores: the name of the score, its header, digits
    "loss": ("loss, nats", 3),
    "accuracy": ("accuracy", 3),
    "accuracy_alike": ("accuracy among like brightness", 3),
    "ab_error": ("ab error", 2),
    "de2000": ("dE2000", 2),
    "ab_error_edges": ("ab error at edges", 2),
    "colors": ("colors used", 0),
}
PALETTE_NOTE = (
    "The palette is limner's own (the course's file is not public): losses and accuracies beside "
    "the write-up's own figures are comparable in kind, not to the digit."
)


def values(records: Iterable[Record], column: str) -> list[float]:
    """One score of each run on its (first) validation set."""
    return [next(iter(r["sets"].values()))["scores"][column] for r in records]


def training_losses(records: Iterable[Record]) -> list[float]:
    """Each run's training loss when it ended: the mean over the last steps that were recorded
    together, 50 where nothing was validated within."""
    return [r["training"]["loss"][-1] for r in records]


@cache
def truth_of(spec: str, split: str, palette: Palette) -> Truth:
    """The pictures of a set's split in a palette."""
    return Truth(pixels(find(spec, split)), palette)


@cache
def lookup_of(spec: str, palette: Palette, pictures: int) -> Lookup:
    """The look-up counted from the first pictures (0: all) of the set's training split."""
    train = truth_of(spec, "train", palette)
    chosen = slice(0, pictures or None)
    return Lookup.count([(train.grey[chosen], train.classes[chosen])], len(palette))


@cache
def simple_answers(spec: str, palette: Palette, pictures: int) -> dict[str, dict[str, float]]:
    """The scores on the `val` split of: the majority class, the grey look-up, and the best
    possible (the true class of every pixel)."""
    truth = truth_of(spec, "val", palette)
    lookup = lookup_of(spec, palette, pictures)
    sure = np.where(np.arange(len(palette))[:, None, None, None] == truth.classes, 0.0, -100.0)
    return {
        "majority class": score(lookup.majority(truth.classes.shape), truth),
        "grey look-up": score(lookup.logits(truth.grey), truth),
        "best possible": score(sure.astype(np.float32), truth),
    }


@cache
def lookup_by_class(spec: str, palette: Palette, pictures: int) -> dict[str, list[float]]:
    """What becomes of each class (`scoring.by_class`) in the look-up's hands."""
    truth = truth_of(spec, "val", palette)
    return by_class(lookup_of(spec, palette, pictures).logits(truth.grey), truth)


def scores_table(
    title: str, arms: Mapping[str, Sequence[Record]], spec: str, note: str = ""
) -> Table:
    """A row for each arm (mean ± half the 95 % interval over its seeds), the simple answers below.

    All arms must share one palette, which the simple answers are counted in.
    """
    first = next(iter(arms.values()))[0]
    palette = Palette.from_json(first["palette"])
    rows: list[tuple[object, ...]] = []
    for name, records in arms.items():
        cells = [_cell(records, column, digits) for column, (_, digits) in COLUMNS.items()]
        rows.append((name, len(records), first_parameters(records), *cells))
    for name, scores in simple_answers(spec, palette, first["settings"]["pictures"]).items():
        rows.append((name, "-", "-", *(simple_cell(scores, column) for column in COLUMNS)))
    header = ("", "seeds", "parameters", *(told for told, _ in COLUMNS.values()))
    return Table(title, header, rows, note)


def simple_cell(scores: Mapping[str, float], column: str) -> str:
    """A score of a simple answer as a table shows it; "-" where there is no such score."""
    return f"{scores[column]:.{COLUMNS[column][1]}f}" if column in scores else "-"


def first_parameters(records: Sequence[Record]) -> int:
    """The number of parameters of an arm, whose runs share one network."""
    count: int = records[0]["parameters"]
    return count


def _cell(records: Sequence[Record], column: str, digits: int) -> str:
    scores = next(iter(records[0]["sets"].values()))["scores"]
    return told(over_seeds(values(records, column)), digits) if column in scores else "-"


def curve(records: Sequence[Record], kind: str, column: str) -> tuple[list[int], list[list[float]]]:
    """The steps, and for each run its values: kind "training" or "validation"."""
    return records[0][kind]["step"], [record[kind][column] for record in records]


def shown(record: Record, palette: Palette) -> NDArray[np.uint8]:
    """The pictures that the record keeps, each pixel in the color of its class: [n, H, W, 3]."""
    colors: NDArray[np.uint8] = palette.swatches()[unpack(record["pictures"])]
    return colors


def picture_rows(
    arms: Mapping[str, Sequence[Record]], spec: str, count: int = 8
) -> dict[str, NDArray[np.uint8]]:
    """Rows of pictures: input, truth, truth in the palette, then each arm's first seed."""
    palette = Palette.from_json(next(iter(arms.values()))[0]["palette"])
    truth = truth_of(spec, "val", palette)
    rows = {
        "input": np.repeat(truth.grey[:count, ..., None], 3, axis=-1),
        "truth": truth.rgb[:count],
        "truth in the palette": palette.swatches()[truth.classes[:count]],
    }
    for name, records in arms.items():
        rows[name] = shown(records[0], Palette.from_json(records[0]["palette"]))[:count]
    return rows
