"""Pictures for learning: decoded once by Pillow into a memory-mapped cache, keyed by content."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from limner.dataset import Dataset
from limner.errors import DataError
from limner.masks.check import check_sides
from limner.masks.labels import IGNORED
from limner.masks.png import read_mask
from limner.masks.sets import Labelled

Progress = Callable[[int, int], None]

FORMAT = 1  # of what is kept: raised when `decode` or `read_mask` make other pixels of a file


@dataclass(frozen=True)
class Pictures:
    """RGB pictures (or masks, of one channel) of any sizes in one array of bytes, with each one's
    sides and place in it."""

    pixels: NDArray[np.uint8]
    sides: NDArray[np.int64]  # [n, 2]: height, width
    starts: NDArray[np.int64]  # [n]
    channels: int = 3

    def __len__(self) -> int:
        return len(self.sides)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Picture `index`: uint8 [H, W, channels], a view."""
        height, width = self.sides[index]
        start = self.starts[index]
        end = start + self.channels * height * width
        return self.pixels[start:end].reshape(height, width, self.channels)

    def take(self, indices: NDArray[np.int64]) -> "Pictures":
        """Some of the pictures, in that order; no pixel is copied."""
        return Pictures(self.pixels, self.sides[indices], self.starts[indices], self.channels)


def cache_folder() -> Path:
    """Where decoded pictures are kept: `limner` in the user's cache folder (XDG_CACHE_HOME)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "limner"


@contextmanager
def passing_folder(name: str) -> Iterator[Path]:
    """A folder in the usual one, which goes with all that it holds when what is done inside ends.

    Raises DataError if it cannot be made.
    """
    usual = cache_folder()
    try:
        usual.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f"{name}-", dir=usual)
    except OSError as error:
        raise DataError(
            f"{usual}: the cache cannot be written ({error.strerror}); "
            "make room, or set XDG_CACHE_HOME to another folder"
        ) from error
    with folder:
        yield Path(folder.name)


def load(dataset: Dataset, progress: Progress | None = None) -> Pictures:
    """The data set's pictures. Files are decoded once; the cache is found again by their content.

    Raises DataError for a file that is no 8-bit photograph, and for a cache that cannot be written.
    """
    if dataset.images is not None:
        sides = np.tile(np.array(dataset.images.shape[1:3], np.int64), (len(dataset), 1))
        return Pictures(dataset.images.reshape(-1), sides, starts(sides, 3))
    return _kept(dataset.fingerprint(), dataset.files, decode, 3, progress)


def load_masks(labelled: Labelled, pictures: Pictures) -> Pictures:
    """The masks of the set's `pictures`, of one channel: classes, and 255. Kept as pictures are.

    Raises DataError for a file that is no mask of these labels or has another picture's sides, and
    where no mask says anything.
    """
    labels = labelled.labels

    def read(path: Path) -> NDArray[np.uint8]:
        return read_mask(path, labels)

    masks = _kept(f"{labelled.fingerprint()}-masks", labelled.masks, read, 1, None)
    for index in np.flatnonzero((masks.sides != pictures.sides).any(axis=1)):
        height, width = (int(side) for side in pictures.sides[index])
        check_sides(labelled.masks[index], masks[int(index)][..., 0], height, width)
    if len(masks.pixels) and (masks.pixels == IGNORED).all():
        raise DataError(f"{labelled.pictures.name}: its masks ignore all pixels; say classes")
    return masks


def _kept(
    key: str,
    files: Sequence[Path],
    read: Callable[[Path], NDArray[np.uint8]],
    channels: int,
    progress: Progress | None,
) -> Pictures:
    """What `read` makes of the files, from the cache of that key or into it.

    The cache is `KEY-FORMAT.pixels` (bytes, memory-mapped) and `KEY-FORMAT.sides.npy`, written
    last, so that a half-written one is never used.
    """
    folder = cache_folder()
    pixels, index = (folder / f"{key}-{FORMAT}.{part}" for part in ("pixels", "sides.npy"))
    if not (index.is_file() and pixels.is_file()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _read_all(files, read, pixels, index, progress)
        except OSError as error:
            raise DataError(
                f"{folder}: the cache cannot be written ({error.strerror}); "
                "make room, or set XDG_CACHE_HOME to another folder"
            ) from error
    sides = np.load(index)
    return Pictures(np.memmap(pixels, np.uint8, "r"), sides, starts(sides, channels), channels)


def sample_pixels(dataset: Dataset, n: int, seed: int) -> NDArray[np.uint8]:
    """At most n pixels of the data set, drawn without replacement: uint8 [<= n, 3]."""
    return sample(load(dataset), n, seed)


def sample(pictures: Pictures, n: int, seed: int) -> NDArray[np.uint8]:
    """At most n pixels of the pictures, drawn without replacement: uint8 [<= n, 3]."""
    ends = np.cumsum(pictures.sides.prod(axis=1))
    total = int(ends[-1])
    chosen = np.sort(np.random.default_rng(seed).choice(total, min(n, total), replace=False))
    picture = np.searchsorted(ends, chosen, side="right")
    within = chosen - (ends - pictures.sides.prod(axis=1))[picture]
    first = pictures.starts[picture] + 3 * within
    pixels: NDArray[np.uint8] = pictures.pixels[first[:, None] + np.arange(3)]
    return pixels


def decode(path: Path) -> NDArray[np.uint8]:
    """One 8-bit grey or RGB photograph, upright: uint8 [H, W, 3]. Raises DataError."""
    with photograph(path) as image:
        return np.asarray(upright(image))


def upright(image: Image.Image) -> Image.Image:
    """The photograph as it is looked at, in RGB."""
    return ImageOps.exif_transpose(image).convert("RGB")


@contextmanager
def photograph(path: Path) -> Iterator[ImageFile.ImageFile]:
    """An 8-bit grey or RGB photograph, opened and not yet read. Raises DataError, also for what
    reading it inside comes upon."""
    try:
        with Image.open(path) as image:
            kind = _kind(image)
            if kind not in ("L", "RGB"):
                raise DataError(
                    f"{path}: pixels of kind {kind}; learning reads 8-bit grey and RGB, "
                    "convert or remove the file"
                )
            yield image
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{path}: not a whole picture ({error}); replace or remove it") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: too large ({error}); replace or remove it") from error


def _kind(image: ImageFile.ImageFile) -> str:
    """Pillow's mode, and what it would drop unasked: half of 16 bits, a transparent color."""
    if any(";16" in str(tile.args) for tile in image.tile):
        return f"{image.mode} with 16 bits"
    return f"{image.mode} with a transparent color" if "transparency" in image.info else image.mode


def _read_all(
    files: Sequence[Path],
    read: Callable[[Path], NDArray[np.uint8]],
    pixels: Path,
    index: Path,
    progress: Progress | None,
) -> None:
    beside = pixels.with_suffix(f".{os.getpid()}")
    sides = []
    try:
        with beside.open("wb") as file:
            for done, path in enumerate(files, 1):
                picture = read(path)
                sides.append(picture.shape[:2])
                file.write(picture.tobytes())
                if progress and (done % 100 == 0 or done == len(files)):
                    progress(done, len(files))
        beside.replace(pixels)
        with beside.open("wb") as file:
            np.save(file, np.array(sides, np.int64))
        beside.replace(index)
    finally:
        beside.unlink(missing_ok=True)


def starts(sides: NDArray[np.int64], channels: int) -> NDArray[np.int64]:
    """Where each picture of those sides [n, 2] begins, one after the other: [n]."""
    lengths = channels * sides.prod(axis=1)
    starts: NDArray[np.int64] = np.cumsum(lengths) - lengths
    return starts
