"""What is wrong with a set's masks, file by file, and how much of each class they hold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.dataset import locate
from limner.errors import DataError, LimnerError
from limner.masks.labels import IGNORED
from limner.masks.png import Mask, read_mask
from limner.masks.sets import find_pairs, labels_of
from limner.palette import Palette
from limner.picture import open_picture


@dataclass
class Check:
    """problems: one line each, a file's path first. Of the pairs without a problem: their number,
    and for each class its pixels and the pictures it is in."""

    labels: Palette
    split: str
    problems: list[str] = field(default_factory=list)
    pairs: int = 0
    ignored: int = 0  # pixels
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    pictures: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def check(spec: str, split: str, on_picture: Callable[[int, int], None] | None = None) -> Check:
    """Read every picture and every mask of a set (NAME|PATH) and split.

    Raises DataError for what is wrong with the set as a whole (no folder, no labels, no split).
    """
    folder = locate(spec)
    labels = labels_of(folder)
    pairs = find_pairs(folder, split)
    K = len(labels)
    found = Check(labels, pairs.split, pixels=np.zeros(K, np.int64), pictures=np.zeros(K, np.int64))
    found.problems += [
        f"{mask}: a mask without a picture; add the picture, or remove the mask"
        for mask in pairs.alone
    ]
    for done, (picture, mask) in enumerate(zip(pairs.pictures, pairs.masks, strict=True), 1):
        try:
            counts = class_counts(matching(picture, mask, labels), K)
        except LimnerError as error:
            found.problems.append(str(error))
        else:
            found.pairs += 1
            found.ignored += int(counts[-1])
            found.pixels += counts[:-1]
            found.pictures += counts[:-1] > 0
        if on_picture:
            on_picture(done, len(pairs.pictures))
    return found


def matching(picture: Path, mask: Path, labels: Palette) -> Mask:
    """The mask of a picture: uint8 [H, W]. Raises DataError if it does not match the picture,
    PictureError for one that is not whole."""
    if not mask.is_file():
        raise DataError(f"{mask}: missing; add the mask of {picture.name}, or remove the picture")
    opened = open_picture(picture)
    opened.reduced(1, 1)  # its header says nothing of rows that are missing
    classes = read_mask(mask, labels)
    check_sides(mask, classes, opened.height, opened.width)
    if (classes == IGNORED).all():
        raise DataError(f"{mask}: ignores all pixels; say a class somewhere, or remove the pair")
    return classes


def check_sides(path: Path, mask: Mask, height: int, width: int) -> None:
    """Raise DataError unless the mask has the sides of its picture."""
    if mask.shape != (height, width):
        raise DataError(
            f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels (width x height), and its picture "
            f"{width} x {height}; give the mask of that very picture"
        )


def class_counts(mask: Mask, K: int) -> NDArray[np.int64]:
    """How many pixels are of each class, and last how many are ignored: int64 [K + 1]."""
    counts = np.bincount(mask.reshape(-1), minlength=256)
    return np.concatenate([counts[:K], counts[IGNORED:]])


def frequencies(masks: Iterator[Mask], K: int) -> NDArray[np.int64]:
    """How many pixels of all masks are of each class: int64 [K]."""
    total = np.zeros(K + 1, np.int64)
    for mask in masks:
        total += class_counts(mask, K)
    return total[:-1]
