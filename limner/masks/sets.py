"""Where the pictures of a set and their masks lie, and what the classes are called."""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from limner.dataset import WHOLE, Dataset, locate, pictures_in, terms_of
from limner.errors import DataError, SplitError
from limner.masks.labels import CLASSES, read_classes, voc_labels
from limner.palette import Palette

SPLITS = ("train", "val", "test")
LISTS = Path("ImageSets", "Segmentation")  # of the VOC development kit
GUESSES = "guesses.json"  # beside masks that a model made: which, and the terms that go with them


@dataclass(frozen=True)
class Labelled:
    """Pictures and the mask of each, in the same order, and the labels of their classes.

    guesses: a model made the masks, so that they are learned from and never validated on.
    """

    pictures: Dataset
    masks: tuple[Path, ...]
    labels: Palette
    guesses: bool = False

    def __len__(self) -> int:
        return len(self.masks)

    def fingerprint(self) -> str:
        """16 hex digits that change when any byte of a picture, a mask or the labels does."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        masks = Dataset(self.pictures.name, self.pictures.split, self.masks)
        parts = (self.pictures.fingerprint(), masks.fingerprint(), str(self.labels.to_json()))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Pairs:
    """What a split's folders hold: each picture with the place of its mask, there or not."""

    split: str
    pictures: tuple[Path, ...]
    masks: tuple[Path, ...]
    alone: tuple[Path, ...] = ()  # masks without a picture


def find_labelled(spec: str, split: str) -> Labelled:
    """The pictures of `spec` (NAME|PATH) that have masks, and their labels.

    The layouts of `find_pairs`. Raises DataError if a mask is missing; SplitError where only the
    split lacks.
    """
    folder = locate(spec)
    pairs = find_pairs(folder, split)
    missing = [mask for mask in pairs.masks if not mask.is_file()]
    if missing:
        raise DataError(
            f"{folder}: {len(missing):,} of {len(pairs.masks):,} pictures have no mask, "
            f"{missing[0]} first; add them, or see `limner data check {spec}`"
        )
    told = guesses_of(folder)
    terms = told["terms"] if told else terms_of(folder)
    dataset = Dataset(spec, pairs.split, pairs.pictures, terms=terms)
    return Labelled(dataset, pairs.masks, labels_of(folder), guesses=told is not None)


def guesses_of(folder: Path) -> dict[str, Any] | None:
    """What a set's GUESSES says of the model that made its masks; None where people made them.

    Raises DataError for a file that says no terms.
    """
    path = folder / GUESSES
    if not os.path.lexists(path):
        return None
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read; label the pictures again") from error
    if not isinstance(told, dict) or not isinstance(told.get("terms"), str):
        raise DataError(f"{path}: says no terms; label the pictures again")
    return told


def labels_of(folder: Path) -> Palette:
    """The labels of a set: its `classes.txt`, or VOC's where it is VOC. Raises DataError."""
    if (folder / CLASSES).is_file():
        return read_classes(folder / CLASSES)
    if folder.name == "voc" or devkit(folder):
        return voc_labels()
    raise DataError(
        f"{folder}: no {CLASSES}; write it with a line for each class, `name` or "
        "`name red green blue`, in the order of the masks' numbers"
    )


def devkit(folder: Path) -> Path | None:
    """The VOC folder (VOC2012) of a VOC development kit, as torchvision downloads it too."""
    for base in (folder, *sorted(folder.glob("VOC20*"), reverse=True)):
        if (base / LISTS).is_dir():
            return base
    inner = folder / "VOCdevkit"
    return devkit(inner) if inner.is_dir() else None


def find_pairs(folder: Path, split: str) -> Pairs:
    """Each picture of a split with the place of its mask.

    Layouts: a VOC development kit (`ImageSets/Segmentation/SPLIT.txt`); `SPLIT/X.webp` with
    `X.png` beside it; `images/` and `masks/` in SPLIT, or with SPLIT in them. Without any split
    folder the set is read whole. Raises DataError; SplitError where only the split lacks.
    """
    voc = devkit(folder)
    if voc:
        return _listed(voc, split)
    for place, name in ((folder / split, split), (folder, WHOLE)):
        if (place / "images").is_dir() and (place / "masks").is_dir():
            if name == WHOLE and (place / "images" / split).is_dir():
                return _paired(place / "images" / split, place / "masks" / split, split)
            found = _splits(place / "images") if name == WHOLE else ()
            if not found:
                return _paired(place / "images", place / "masks", name)
            raise SplitError(f"{folder}: no split {split!r}; it has {', '.join(found)}")
        if name == split and place.is_dir():
            return _paired(place, place, name)
    found = _splits(folder)
    if found:
        raise SplitError(f"{folder}: no split {split!r}; it has {', '.join(found)}")
    return _paired(folder, folder, WHOLE)


def _splits(folder: Path) -> tuple[str, ...]:
    return tuple(split for split in SPLITS if (folder / split).is_dir())


def _listed(voc: Path, split: str) -> Pairs:
    """The pictures of a VOC list, in its order."""
    path = voc / LISTS / f"{split}.txt"
    try:
        names = os.fsdecode(path.read_bytes()).split()
    except OSError as error:
        there = ", ".join(sorted(p.stem for p in (voc / LISTS).glob("*.txt")))
        raise SplitError(f"{voc}: no split {split!r}; it has {there or 'none'}") from error
    if not names:
        raise DataError(f"{path}: names no picture; get a whole copy of the file")
    pictures = tuple(voc / "JPEGImages" / f"{name}.jpg" for name in names)
    return Pairs(split, pictures, tuple(voc / "SegmentationClass" / f"{n}.png" for n in names))


def _paired(images: Path, masks: Path, split: str) -> Pairs:
    """The photographs of a folder, each with the PNG of its stem in `masks`."""
    if images == masks:
        pictures = tuple(path for path in pictures_in(images) if not _is_png(path))
        if not pictures:
            raise DataError(
                f"{images}: PNG files alone, which might be pictures or masks; "
                "put them into folders images/ and masks/"
            )
    else:
        pictures = pictures_in(images)
    stems: dict[str, Path] = {}
    for path in pictures:
        if path.stem in stems:
            raise DataError(
                f"{path}: has the stem of {stems[path.stem].name}, and one mask is for one "
                "picture; rename one of them"
            )
        stems[path.stem] = path
    there = {path.stem: path for path in sorted(masks.glob("[!.]*")) if _is_png(path)}
    places = tuple(there.get(path.stem, masks / f"{path.stem}.png") for path in pictures)
    alone = tuple(path for stem, path in there.items() if stem not in stems)
    return Pairs(split, pictures, places, alone)


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"
