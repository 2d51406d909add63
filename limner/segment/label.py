"""Pictures with the masks that a model makes of them, to learn from beside masks made by hand:
self-training (Lee 2013; Xie et al. 2020), for those who have few masks and many pictures.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.dataset import Dataset
from limner.errors import DataError, PictureError
from limner.files import write_atomically
from limner.masks.labels import CLASSES, classes_text
from limner.masks.png import write_mask
from limner.masks.sets import GUESSES
from limner.segment.segmenter import Segmenter

SHOWN = 0.02  # a picture shows a class that this share of its cells surely has
KNOWN = 0.5  # a picture of which a smaller share of the cells is sure is left out

Told = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass
class Labelling:
    """What became of the pictures: how many are in the set, how many of them surely show each
    class, and one line for each that could not be read."""

    pictures: int = 0
    showing: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    problems: list[str] = field(default_factory=list)


def label(
    segmenter: Segmenter,
    photos: Dataset,
    folder: Path,
    *,
    sure: float,
    most: int,
    on_picture: Told | None = None,
) -> Labelling:
    """Write into `folder` at most `most` of the photographs (0: all that will do), with masks.

    A mask says a class where the model's own probability of it (class weights undone) is at least
    `sure` in the nearest cell, and 255 elsewhere. A picture will do if half of it is sure. Where
    there are more than `most`, the classes choose in turn, each time the picture that shows most of
    them. The set tells whose guesses its masks are, and is never validated on. Raises DataError if
    the folder holds anything, or if no picture will do.
    """
    if photos.images is not None:
        raise DataError(f"{photos.name}: pictures without files; give a folder of photographs")
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(f"{folder}: holds something already; choose another folder with -o")
    labels = segmenter.model.card.palette
    found = Labelling()
    shares = surely(segmenter, photos, sure, found.problems, on_picture)
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
            mask = segmenter.segment(path).said(sure)
        except PictureError as error:
            found.problems.append(str(error))
            continue
        if not kept:
            begin(segmenter, photos, folder, sure)
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


def surely(
    segmenter: Segmenter, photos: Dataset, sure: float, problems: list[str], on_picture: Told | None
) -> NDArray[np.float64]:
    """The share of each picture that is surely of each class: [n, K], none of one that cannot be
    read, which adds its line to `problems`."""
    K = len(segmenter.model.card.palette)
    shares = np.zeros((len(photos), K))
    for index, path in enumerate(photos.files):
        try:
            seen = segmenter.segment(path)
        except PictureError as error:
            problems.append(str(error))
        else:
            best = seen.probabilities.argmax(axis=-1)[seen.belief >= sure]
            shares[index] = np.bincount(best, minlength=K) / seen.belief.size
        if on_picture:
            on_picture(index + 1, len(photos))
    return shares


def begin(segmenter: Segmenter, photos: Dataset, folder: Path, sure: float) -> None:
    """Make the set's folders, and say first of all whose guesses its masks are. DataError."""
    card = segmenter.model.card
    try:
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be made a folder ({error.strerror}); choose another with -o"
        ) from error
    told = {
        "model": card.name,
        "sha256": segmenter.model.sha256,
        "sure": sure,
        "pictures": photos.name,
        "terms": f"{photos.terms}; masks: guesses of the model {card.name} ({card.license})",
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
