"""A palette's classes by the names of their colors, and what becomes of each kind."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner.color import rgb_to_lab
from limner.palette import Palette
from limner.studies.record import Record
from limner.studies.scoring import Truth

CHROMATIC = 10.0  # chroma in CIELAB from which a color has a hue that one sees
HUES = {"brown": (40.0, 100.0), "green": (100.0, 200.0), "blue": (200.0, 300.0)}  # degrees
DARK = 65.0  # L* below which a reddish yellow is a brown
KINDS = ("grey", *HUES)
RULE = (
    f"Kinds of classes by their colors in CIELAB: grey has a chroma below {CHROMATIC:.0f}; the "
    "others a hue angle of "
    + ", ".join(f"{low:.0f} to {high:.0f} ({kind})" for kind, (low, high) in HUES.items())
    + f" degrees, brown also an L* below {DARK:.0f}, as lighter ones are beige."
)

Column = Mapping[str, Sequence[float]]  # what `scoring.by_class` gives


def kinds(palette: Palette) -> dict[str, list[int]]:
    """The classes of an RGB palette that are grey, brown, green or blue; RULE says which are.

    A class may be none of these.
    """
    L, a, b = np.moveaxis(rgb_to_lab(palette.colors / 255), -1, 0)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    found = {"grey": chroma < CHROMATIC}
    for kind, (low, high) in HUES.items():
        found[kind] = (chroma >= CHROMATIC) & (low <= hue) & (hue < high)
    found["brown"] &= L < DARK
    return {kind: np.flatnonzero(mask).tolist() for kind, mask in found.items()}


def table_of(record: Record) -> Column:
    """What became of each class on the record's first set."""
    table: Column = next(iter(record["sets"].values()))["classes"]
    return table


def share(table: Column, classes: Sequence[int], column: str = "predicted") -> float:
    """Share of all pixels that are (`true`) or are `predicted` as one of the classes: 0..1."""
    return float(np.sum(np.take(table[column], classes)))


def recall(table: Column, classes: Sequence[int]) -> float:
    """Of the pixels that truly are one of the classes, the share that gets its own class: 0..1.

    0 where there are none, as in `scoring.by_class`.
    """
    true = np.take(table["true"], classes)
    return float(np.sum(true * np.take(table["recall"], classes)) / max(true.sum(), 1e-9))


def grey(table: Column, classes: Sequence[int]) -> float:
    """Mean grey level (0..255) of the pixels predicted as one of the classes; NaN if none is."""
    predicted = np.take(table["predicted"], classes)
    if not predicted.sum():
        return float("nan")
    return float(np.sum(predicted * np.take(table["grey"], classes)) / predicted.sum())


def brightness_error(classes: NDArray[np.integer[Any]], truth: Truth, edges: bool = False) -> float:
    """Mean distance (levels of 255) between a pixel's grey and the channel mean of the class that
    it gets: how well brightness is copied, whatever the hue.

    classes [n, H, W]: of the first n pictures. edges: only within one pixel of color edges.
    """
    n = len(classes)
    error = np.abs(truth.palette.colors.mean(axis=1)[classes] - truth.grey[:n])
    return float((error[truth.edges[:n]] if edges else error).mean())
