"""A mask in and out of PNG, by Pillow: libvips reads a palette as RGB and renumbers it."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from limner.errors import DataError, PictureError
from limner.files import write_atomically
from limner.masks.labels import IGNORED, VOC_BORDER
from limner.palette import Palette

Mask = NDArray[np.uint8]

WHITE = (255, 255, 255)
SPREAD = {"L;2": 85, "L;4": 17}  # Pillow spreads a grey PNG's few bits over 0..255


def read_mask(path: Path, labels: Palette) -> Mask:
    """A mask: uint8 [H, W], classes 0..K-1 of the labels, and 255 where nothing is said.

    Palette and grey PNGs hold the numbers themselves, RGB ones the labels' colors, where white and
    VOC's border color mean 255 if no label has them; transparency says nothing. Raises DataError
    for a file that is no such PNG, and for a number or a color that the labels do not have.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            pixels = _numbers(path, image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged"
        raise DataError(f"{path}: no mask can be read ({reason}); give a whole PNG") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: too large ({error}); remove it") from error
    if pixels.ndim == 3:
        return _classes_of_colors(path, pixels.astype(np.uint8, copy=False), labels)
    wrong = pixels[(pixels >= len(labels)) & (pixels != IGNORED)]
    if wrong.size:
        raise DataError(
            f"{path}: holds class {wrong.max()} at {wrong.size:,} pixels, and the labels are "
            f"0..{len(labels) - 1} ({IGNORED}: ignored); name all classes in classes.txt, or mend "
            "the mask"
        )
    return pixels.astype(np.uint8)


def write_mask(path: Path, mask: Mask, labels: Palette, overwrite: bool = False) -> None:
    """Write a mask [H, W] as an indexed PNG in the labels' colors, whole or not at all.

    Raises PictureError if the file exists (unless `overwrite`).
    """
    if os.path.lexists(path) and not overwrite:
        raise PictureError(f"{path}: exists already; add --overwrite to replace it")
    table = np.zeros((256, 3), np.uint8)
    table[: len(labels)] = labels.swatches()
    table[IGNORED] = VOC_BORDER
    image = Image.fromarray(np.ascontiguousarray(mask, np.uint8), "P")
    image.putpalette(table.tobytes())
    content = io.BytesIO()
    image.save(content, "PNG")
    write_atomically(path, content.getvalue())


def _numbers(path: Path, image: ImageFile.ImageFile) -> NDArray[np.integer[Any]]:
    """The pixels: [H, W] numbers, or uint8 [H, W, 3] colors."""
    if image.mode in ("P", "L"):
        spread = max((SPREAD.get(str(tile.args), 1) for tile in image.tile), default=1)
        return np.asarray(image) // np.uint8(spread)
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode in ("RGB", "RGBA"):
        return np.asarray(image.convert("RGB"))
    raise DataError(f"{path}: pixels of kind {image.mode}; a mask is a palette, grey or RGB PNG")


def _classes_of_colors(path: Path, pixels: Mask, labels: Palette) -> Mask:
    """RGB [H, W, 3] -> classes, by the labels' colors."""
    weights = np.array([1 << 16, 1 << 8, 1])
    keys = pixels.astype(np.int64) @ weights
    known = {int(key): number for number, key in enumerate(labels.swatches() @ weights)}
    for color in (VOC_BORDER, WHITE):
        known.setdefault(int(np.array(color) @ weights), IGNORED)
    colors, places = np.unique(keys, return_inverse=True)
    for color in colors:
        if int(color) not in known:
            y, x = np.argwhere(keys == color)[0]
            raise DataError(
                f"{path}: the color {tuple(int(v) for v in pixels[y, x])} at column {x}, row {y} "
                "is no class's; give each class its color in classes.txt, or mend the mask"
            )
    table = np.array([known[int(color)] for color in colors], np.uint8)
    return table[places].reshape(keys.shape)
