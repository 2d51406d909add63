"""Pictures in: opened by their header, then read in strips, whole, or reduced."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips

from limner.errors import PictureError
from limner.picture.formats import READABLE, Pixels, detail, recognize, refusal
from limner.picture.stream import strip_rows

PIXEL_LIMIT = 100_000_000


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture on disk or in memory: its upright size is known, its pixels are read when asked.

    bands: 1 (grey) or 3 (sRGB). format: "jpeg", "png", "tiff" or "webp"; "png" for an array.
    """

    name: str
    width: int
    height: int
    bands: int
    format: str
    orientation: int = 1  # EXIF, 1..8; a picture in memory is upright
    path: Path | None = None
    pixels: Pixels | None = None

    def strips(self) -> Iterator[Pixels]:
        """The rows from top to bottom, some at a time: uint8 [rows, W] or [rows, W, 3].

        Raises PictureError where the file turns out to be cut short or damaged.
        """
        rows = strip_rows(self.width)
        if self.pixels is not None:
            for top in range(0, self.height, rows):
                yield self.pixels[top : top + rows]
            return
        # Rotation needs the rows out of order; a mirrored row (2) does not.
        access = "sequential" if self.orientation in (1, 2) else "random"
        with _reading(self.name):
            image = self._open(access).autorot()
            region = pyvips.Region.new(image)
        for top in range(0, self.height, rows):
            height = min(rows, self.height - top)
            with _reading(self.name):
                data = region.fetch(0, top, self.width, height)
                _check_tiles(image)
            yield _shaped(data, self.width, height, self.bands)

    def array(self) -> Pixels:
        """All pixels: uint8 [H, W] or [H, W, 3]."""
        return np.concatenate(list(self.strips()))

    def reduced(self, width: int, height: int) -> Pixels:
        """The picture at a smaller size, each pixel a mean: uint8 [height, width(, 3)].

        Sides that are no smaller than the picture's are kept. JPEGs are reduced while they are
        decoded where that is exact enough. sRGB values are averaged as they are.
        """
        width, height = min(width, self.width), min(height, self.height)
        with _reading(self.name):
            if self.pixels is not None:
                image = pyvips.Image.new_from_array(self.pixels)
            else:
                image = self._open("sequential", self._shrink(width, height))
            turned = self.orientation > 4
            across, down = (height, width) if turned else (width, height)
            if (image.width, image.height) != (across, down):
                image = image.resize(
                    across / image.width, vscale=down / image.height, kernel="linear"
                )
            if self.orientation > 1:
                image = image.copy_memory().autorot()
            data = image.write_to_memory()
            _check_tiles(image)
            return _shaped(data, width, height, self.bands)

    def _shrink(self, width: int, height: int) -> int:
        """How much libjpeg may reduce by itself: 1, 2, 4 or 8, to sides of at least 64 pixels."""
        if self.format != "jpeg":
            return 1
        room = min(self.width / width, self.height / height, min(self.width, self.height) / 64)
        return next((n for n in (8, 4, 2) if n <= room), 1)

    def _open(self, access: str, shrink: int = 1) -> pyvips.Image:
        assert self.path is not None
        image = _load(self.path, self.format, access, shrink)
        turned = self.orientation > 4
        sides = (self.height, self.width) if turned else (self.width, self.height)
        if shrink == 1 and (image.width, image.height) != sides:
            raise PictureError(f"{self.name}: the file changed while it was read; try again")
        return image


def open_picture(path: Path | str, max_pixels: int = PIXEL_LIMIT) -> Picture:
    """The picture in a file, known by its content and not by its name; only the header is read.

    8-bit grey and RGB JPEG, PNG, TIFF and WebP; fewer bits and opaque palettes are expanded, which
    loses nothing. Raises PictureError: missing, unreadable, empty, not a picture, damaged, of a
    kind that is not handled, or of more than `max_pixels` pixels.
    """
    path = Path(path)
    with _reading(str(path)):
        format = recognize(path)
        image = _load(path, format, "sequential")
    what = refusal(path, format, image)
    if what:
        raise PictureError(f"{path}: {what}; {READABLE}")
    if image.width * image.height > max_pixels:
        raise PictureError(
            f"{path}: {image.width} x {image.height} pixels, more than {max_pixels:,}; "
            "if you trust the file, raise the limit (--max-pixels)"
        )
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    orientation = orientation if 1 <= orientation <= 8 else 1
    sides = (image.width, image.height) if orientation < 5 else (image.height, image.width)
    return Picture(str(path), *sides, image.bands, format, orientation, path)


def from_array(pixels: Pixels) -> Picture:
    """A picture in memory: a copy of uint8 [H, W] or [H, W, 3].

    Raises PictureError for anything else.
    """
    pixels = np.asarray(pixels)
    grey, color = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[-1] == 3
    if pixels.dtype != np.uint8 or not (grey or color) or pixels.size == 0:
        raise PictureError(
            f"array: {pixels.dtype} of shape {list(pixels.shape)}; "
            "give uint8 of shape [H, W] or [H, W, 3]"
        )
    height, width = pixels.shape[:2]
    # Pixels are read when asked for, and the caller's may have changed by then.
    kept = np.array(pixels, order="C")
    return Picture("array", width, height, 3 if color else 1, "png", pixels=kept)


def read_rgb(path: Path | str, short_side: int | None = None) -> Pixels:
    """A picture for scoring: uint8 [H, W, 3], grey repeated.

    With `short_side`, reduced so that its short side has that many pixels; never enlarged.
    """
    picture = open_picture(path)
    scale = min(1.0, (short_side or np.inf) / min(picture.width, picture.height))
    if scale == 1:
        pixels = picture.array()
    else:
        pixels = picture.reduced(round(picture.width * scale), round(picture.height * scale))
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)


def _load(path: Path, format: str, access: str, shrink: int = 1) -> pyvips.Image:
    pyvips.Error("")  # takes the text of earlier errors out of libvips
    # By descriptor: libvips would read "name[...]" as a name with options.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        source = pyvips.Source.new_from_descriptor(descriptor)
    finally:
        os.close(descriptor)
    # A file that is cut short must be an error: by default the missing part becomes grey.
    if format == "jpeg":
        return pyvips.Image.jpegload_source(source, access=access, fail_on="error", shrink=shrink)
    if format == "png":
        return pyvips.Image.pngload_source(source, access=access, fail_on="error")
    if format == "tiff":
        return pyvips.Image.tiffload_source(source, access=access, fail_on="error")
    return pyvips.Image.webpload_source(source, access=access, fail_on="error")


def _check_tiles(image: pyvips.Image) -> None:
    """Raise for a broken tile of a TIFF: libvips makes it black and goes on, but leaves a text."""
    error = pyvips.Error("a tile is broken")
    if image.get_typeof("tile-width") and error.detail:
        raise error


def _shaped(data: bytes, width: int, height: int, bands: int) -> Pixels:
    shape = (height, width) if bands == 1 else (height, width, bands)
    return np.frombuffer(data, np.uint8).reshape(shape)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise PictureError(f"{name}: no such file; check the path") from error
    except OSError as error:
        raise PictureError(
            f"{name}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error
    except pyvips.Error as error:
        raise PictureError(
            f"{name}: cut short or damaged ({detail(error)}); get a whole copy of the file"
        ) from error
