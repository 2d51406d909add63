"""Where a set of pictures lies: a name under LIMNER_DATA or a folder; files, or CIFAR-10.

Reading the files into pixels is left to whoever needs them (learning through Pillow, painting and
scoring through libvips).
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.errors import DataError, SplitError

UNKNOWN = "terms unknown: a folder of your own"
WHOLE = "whole"  # the split of a folder that has no split folders
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR_RECORD = 1 + 3 * 32 * 32  # a label byte, then the red, green and blue planes
CIFAR_FILES = {
    "train": tuple(f"data_batch_{part}.bin" for part in range(1, 6)),
    "test": ("test_batch.bin",),
}
CIFAR_TERMS = "CIFAR-10 (Krizhevsky 2009): no formal license"
TERMS = {
    "cifar-10-batches-bin": CIFAR_TERMS,
    "photos": "photographs of mixed sources, research use, owners' rights (Flickr8k, PASCAL VOC, "
    "Stanford 40 Actions, SUN, Places, ImageNet samples and others)",
    "early": "FSA/OWI color photographs 1939-1944, Library of Congress: public domain",
    "voc": "PASCAL VOC 2012 (Everingham et al.): Flickr's terms, owners' rights",
    "camvid": "CamVid (Brostow et al. 2008): research use",
}


@dataclass(frozen=True)
class Dataset:
    """Pictures of one set and split: paths of files, or (CIFAR-10) uint8 images [n, 32, 32, 3]."""

    name: str
    split: str
    files: tuple[Path, ...] = ()
    images: NDArray[np.uint8] | None = None
    terms: str = UNKNOWN

    def __len__(self) -> int:
        return len(self.files) if self.images is None else len(self.images)

    def fingerprint(self) -> str:
        """16 hex digits that change when the name of a file, the order or any byte changes.

        The files are read once. Raises DataError for a file that cannot be read.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        if self.images is not None:
            digest.update(self.images.tobytes())
        for file in self.files:
            digest.update(file.name.encode() + b"\0")
            digest.update(hashlib.sha256(_read(file)).digest())
        return digest.hexdigest()[:16]


def data_folder() -> Path:
    """The folder that holds the named sets: the environment's LIMNER_DATA, or `data`."""
    return Path(os.environ.get("LIMNER_DATA", "data"))


def find(spec: str, split: str) -> Dataset:
    """The pictures of `spec`: NAME (a set under LIMNER_DATA) or PATH (a folder of pictures).

    A name that both have means the set; `./NAME` is the folder.
    `cifar10` and `cifar10:CATEGORY` (horse by default, any class or `all`) are CIFAR-10, whose
    `val` is its test batch. A folder with a subfolder named like the split gives that split; one
    without any split folder is read whole. Raises DataError; SplitError where only the split lacks.
    """
    name, _, category = spec.partition(":")
    if name in ("cifar10", "cifar-10-batches-bin"):
        return _cifar10(data_folder(), category or "horse", split)
    folder = locate(name)
    if any(os.path.isfile(folder / file) for file in (*CIFAR_FILES["train"], *CIFAR_FILES["test"])):
        return _cifar10(folder.parent, category or "horse", split, folder)
    if category:
        raise DataError(f"{spec}: only CIFAR-10 has categories; leave `:{category}` away")
    terms = terms_of(folder)
    if os.path.isdir(folder / split):
        return Dataset(name, split, pictures_in(folder / split), terms=terms)
    splits = [s for s in ("train", "val", "test") if os.path.isdir(folder / s)]
    if splits:
        raise SplitError(f"{folder}: no split {split!r}; it has {', '.join(splits)}")
    return Dataset(name, WHOLE, pictures_in(folder), terms=terms)


def locate(name: str) -> Path:
    """The folder of a set's name under LIMNER_DATA, or of a path. Raises DataError for neither."""
    folder = next((place for place in _places(name) if os.path.isdir(place)), None)
    if folder is None:
        raise DataError(
            f"{name}: no folder of that name, and no set under {data_folder()}/; "
            "run `make data`, set LIMNER_DATA, or give a folder of pictures"
        )
    return folder


def _places(name: str) -> tuple[Path, ...]:
    """Where a name or path may lie: a bare name under LIMNER_DATA before the working folder."""
    if not name:
        return ()
    named = data_folder() / name
    return (named, Path(name)) if Path(name).name == name != ".." else (Path(name),)


def terms_of(folder: Path) -> str:
    """The terms of a set: known only of those that lie under LIMNER_DATA by that name."""
    known = os.path.realpath(folder) == os.path.realpath(data_folder() / folder.name)
    return TERMS.get(folder.name, UNKNOWN) if known else UNKNOWN


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """The photographs of a folder in the order of their names, without the masks beside them.

    A PNG that shares its stem with a picture of another format is that picture's palette mask
    (PASCAL VOC's and CamVid's layout), not a photograph.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    found = [p for p in entries if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    photographed = {path.stem for path in found if path.suffix.lower() != ".png"}
    files = tuple(p for p in found if p.suffix.lower() != ".png" or p.stem not in photographed)
    if not files:
        raise DataError(f"{folder}: holds no picture ({', '.join(SUFFIXES)}); name another folder")
    return files


def _cifar10(root: Path, category: str, split: str, folder: Path | None = None) -> Dataset:
    if category != "all" and category not in CIFAR_CLASSES:
        raise DataError(
            f"cifar10: no category {category!r}; it is all or one of {', '.join(CIFAR_CLASSES)}"
        )
    part = {"train": "train", "val": "test", "test": "test"}.get(split)
    if part is None:
        raise SplitError(f"cifar10: no split {split!r}; it has train and val (its test batch)")
    binary = folder or root / "cifar-10-batches-bin"
    terms = CIFAR_TERMS if folder is None else terms_of(folder)
    if os.path.isdir(binary):
        labels, images = _binary_records(binary, part)
    elif os.path.isdir(root / "cifar-10-batches-py"):
        labels, images = _torchvision_records(root, part)
    else:
        raise DataError(
            f"cifar10: neither {binary} nor {root / 'cifar-10-batches-py'} exists; "
            'run `make data`, or: python -c "from torchvision.datasets import CIFAR10; '
            f"CIFAR10('{root}', download=True)\""
        )
    if category != "all":
        images = images[labels == CIFAR_CLASSES.index(category)]
    if len(images) == 0:
        raise DataError(f"{binary}: no {category} in the {part} files; get the whole data set")
    return Dataset(f"cifar10:{category}", split, images=images, terms=terms)


def _binary_records(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """CIFAR-10's official binary format, any number of records: labels [n], images [n,32,32,3]."""
    files = [folder / name for name in CIFAR_FILES[part] if os.path.isfile(folder / name)]
    if not files:
        raise SplitError(f"{folder}: no {CIFAR_FILES[part][0]}; get CIFAR-10's binary version")
    records = []
    for file in files:
        content = np.frombuffer(_read(file), np.uint8)
        if content.size % CIFAR_RECORD:
            raise DataError(
                f"{file}: {content.size} bytes, not a whole number of records of "
                f"{CIFAR_RECORD}; get a whole copy of the file"
            )
        records.append(content.reshape(-1, CIFAR_RECORD))
    table = np.concatenate(records)
    planes = table[:, 1:].reshape(-1, 3, 32, 32)
    return table[:, 0], np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read ({error.strerror}); restore or remove it"
        ) from error


def _torchvision_records(root: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """CIFAR-10 as torchvision downloads it (`cifar-10-batches-py`)."""
    try:
        from torchvision.datasets import CIFAR10
    except ModuleNotFoundError as error:
        raise DataError(
            f"{root / 'cifar-10-batches-py'}: reading it needs torchvision; install it with "
            "pip install '.[learn]', or get CIFAR-10's binary version"
        ) from error
    try:
        records = CIFAR10(str(root), train=part == "train")
    except (RuntimeError, OSError) as error:  # its check of the files, before it unpickles them
        raise DataError(
            f"{root / 'cifar-10-batches-py'}: incomplete or damaged; remove it and get it again"
        ) from error
    return np.array(records.targets, np.uint8), np.asarray(records.data, np.uint8)
