"""Pictures with the masks that models make of them, to learn from beside masks made by hand:
self-training (Lee 2013; Xie et al. 2020), for those who have few masks and many pictures.

What several models say in the mean is nearer to the truth than what one says. Each class has a
threshold of its own (Zou et al. 2018): with one for all, a class that is rarely certain would be
left out where it is, and missed where it is taken for another.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.dataset import Dataset
from limner.errors import DataError, ModelError, PictureError
from limner.files import write_atomically
from limner.masks.labels import CLASSES, classes_text
from limner.masks.png import write_mask
from limner.masks.sets import GUESSES
from limner.segment.segmentation import Segmentation
from limner.segment.segmenter import Segmenter

SHOWN = 0.02  # a picture shows a class that this share of its cells surely has
KNOWN = 0.5  # a picture of which a smaller share of the cells is sure is left out
LEAST = 50  # hundredths of belief that are asked for: what is said is likelier than not
STEPS = np.linspace(0, 1, 101, dtype=np.float32)  # beliefs are counted and asked for in hundredths

Told = Callable[[int, int], None]  # pictures done, pictures in all
Counts = NDArray[np.uint32]  # cells by picture, class and hundredths of belief: [n, K, 101]


@dataclass
class Labelling:
    """What became of the pictures: how many are in the set, how many of them surely show each
    class, the belief that was asked of each class, and one line for each picture that could not be
    read."""

    pictures: int = 0
    showing: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sure: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    problems: list[str] = field(default_factory=list)


def label(
    segmenters: Sequence[Segmenter],
    photos: Dataset,
    folder: Path,
    *,
    sure: float,
    most: int,
    on_picture: Told | None = None,
) -> Labelling:
    """Write into `folder` at most `most` of the photographs (0: all that will do), with masks.

    A mask says a class where the mean of the models' own probabilities of it (class weights undone)
    is, in the nearest cell, at least what `thresholds` asks, and 255 elsewhere. A picture will do
    if half of it is sure. Where there are more than `most`, the classes choose in turn, each time
    the picture that shows most of them. The set tells whose guesses its masks are, and is never
    validated on. Raises ModelError for models that see pictures otherwise than the first or say
    other classes, DataError if the folder holds anything, or if no picture will do.
    """
    check_alike(segmenters)
    if photos.images is not None:
        raise DataError(f"{photos.name}: pictures without files; give a folder of photographs")
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(f"{folder}: holds something already; choose another folder with -o")
    labels = segmenters[0].model.card.palette
    found = Labelling()
    counts = counted(segmenters, photos, found.problems, on_picture)
    hundredths = thresholds(counts, sure)
    found.sure = STEPS[hundredths]
    shares = surely(counts, hundredths)
    chosen = in_turns(shares, most)
    if not chosen:
        raise DataError(
            f"{photos.name}: of no picture is half sure (at least {sure:g}); take a lower --sure, "
            "or other pictures"
        )
    kept: list[int] = []
    for index in chosen:
        path = photos.files[index]
        try:  # now at full size, and perhaps after the file changed
            mask = seen_by(segmenters, path).said(found.sure)
        except PictureError as error:
            found.problems.append(str(error))
            continue
        if not kept:
            begin(segmenters, photos, folder, found.sure)
        kept.append(index)
        # Numbered, since two photographs may have one stem.
        name = f"{index:06d}-{path.stem}"
        write_atomically(folder / "images" / f"{name}{path.suffix}", path.read_bytes())
        write_mask(folder / "masks" / f"{name}.png", mask, labels)
    if not kept:
        raise DataError(
            f"{photos.name}: no picture that will do can be read again; {found.problems[-1]}"
        )
    found.pictures, found.showing = len(kept), (shares[kept] >= SHOWN).sum(axis=0)
    # Last: without its classes a set is not read, so that half of one never is.
    write_atomically(folder / CLASSES, classes_text(labels).encode())
    return found


def check_alike(segmenters: Sequence[Segmenter]) -> None:
    """Raise ModelError unless all models have the same classes and cells."""
    first, *others = (one.model.card for one in segmenters)
    for card in others:
        if card.palette.names != first.palette.names:
            raise ModelError(
                f"{card.name}: it does not say the same classes as {first.name}; label with one of "
                "them, or with models of one set of classes"
            )
        grids = [(one.working_size, one.multiple, one.stride) for one in (first, card)]
        if grids[0] != grids[1]:
            raise ModelError(
                f"{card.name}: working size, multiple and stride of {grids[1]}, and {first.name}'s "
                f"are {grids[0]}; label with models that see pictures at one size"
            )


def seen_by(segmenters: Sequence[Segmenter], path: Path) -> Segmentation:
    """What the models say in the mean. Raises PictureError."""
    first, *others = (one.segment(path) for one in segmenters)
    if not others:
        return first
    seen = [first, *others]
    return replace(
        first,
        probabilities=np.mean([one.probabilities for one in seen], axis=0),
        own=np.mean([one.own for one in seen], axis=0),
    )


def counted(
    segmenters: Sequence[Segmenter], photos: Dataset, problems: list[str], on_picture: Told | None
) -> Counts:
    """How many cells of each picture have which likeliest class, with what belief (in hundredths,
    rounded down). None of a picture that cannot be read, which adds its line to `problems`."""
    K = len(segmenters[0].model.card.palette)
    counts = np.zeros((len(photos), K, len(STEPS)), np.uint32)
    for index, path in enumerate(photos.files):
        try:
            seen = seen_by(segmenters, path)
        except PictureError as error:
            problems.append(str(error))
        else:
            # At least STEPS[b] exactly when the mask will say so, whatever the rounding.
            hundredths = np.searchsorted(STEPS, seen.belief, side="right") - 1
            np.add.at(counts[index], (seen.likeliest, hundredths), 1)
        if on_picture:
            on_picture(index + 1, len(photos))
    return counts


def thresholds(counts: Counts, sure: float) -> NDArray[np.int64]:
    """The belief, in hundredths, that a class must have to be said, [K].

    That is `sure`, or where half of a class's cells have less, so much less that the surer half of
    them is said; but never under LEAST (unless `sure` is).
    """
    asked = int(np.searchsorted(STEPS, np.float32(sure)))
    above = counts.sum(axis=0, dtype=np.int64)[:, ::-1].cumsum(axis=1)[:, ::-1]
    # above[k, b]: cells of class k with a belief of at least b hundredths
    medians = (2 * above >= above[:, :1]).sum(axis=1) - 1
    hundredths: NDArray[np.int64] = np.minimum(asked, np.maximum(medians, LEAST))
    return hundredths


def surely(counts: Counts, hundredths: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of each picture's cells that are surely of each class: [n, K]."""
    sure = np.arange(len(STEPS)) >= hundredths[:, None]
    cells = counts.sum(axis=(1, 2))[:, None]
    shares: NDArray[np.float64] = np.einsum("nkb,kb->nk", counts, sure) / np.maximum(cells, 1)
    return shares


def begin(
    segmenters: Sequence[Segmenter], photos: Dataset, folder: Path, sure: NDArray[np.float32]
) -> None:
    """Make the set's folders, and say first of all whose guesses its masks are. DataError."""
    cards = [one.model.card for one in segmenters]
    try:
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be made a folder ({error.strerror}); choose another with -o"
        ) from error
    models = "; ".join(f"{card.name} ({card.license})" for card in cards)
    asked = np.round(sure.astype(float), 2).tolist()
    told = {
        "models": {one.model.sha256: one.model.card.name for one in segmenters},
        "sure": dict(zip(cards[0].palette.names, asked, strict=True)),
        "pictures": photos.name,
        "terms": f"{photos.terms}; masks: guesses of {models}",
    }
    write_atomically(folder / GUESSES, json.dumps(told, indent=1).encode())


def in_turns(shares: NDArray[np.float64], most: int) -> list[int]:
    """Which pictures to take, in their order, by the share [n, K] of each that is surely of each
    class: those of which KNOWN is sure, and of more than `most` (0: no limit) as many.

    The classes choose in turn, each the picture that shows most of it and is not taken; one that no
    picture shows any more drops out.
    """
    known = np.flatnonzero(shares.sum(axis=1) >= KNOWN)
    if not most or len(known) <= most:
        return known.tolist()
    queues = []
    for share in shares[known].T:
        order = np.argsort(share, kind="stable")  # the largest last, to be popped
        queues.append([int(known[i]) for i in order if share[i] >= SHOWN])
    taken: set[int] = set()
    while len(taken) < most and any(queues):
        for queue in queues:
            while queue and queue[-1] in taken:
                queue.pop()
            if queue and len(taken) < most:
                taken.add(queue.pop())
    return sorted(taken)
