"""Which files are pictures that limner handles: by their first bytes, and by their header."""

import os
import struct
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from limner.errors import PictureError

Pixels = NDArray[np.uint8]  # [H, W] grey or [H, W, 3] sRGB

FORMATS = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".tif": "tiff", ".tiff": "tiff",
    ".webp": "webp",
}  # fmt: skip
LONGEST_SIDE = {"jpeg": 65_535, "png": 2**31 - 1, "tiff": 2**31 - 1, "webp": 16_383}
READABLE = "limner reads 8-bit grey and RGB JPEG, PNG, TIFF and WebP; convert it first"
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "jpeg"), (0, b"\x89PNG\r\n\x1a\n", "png"), (8, b"WEBP", "webp"),
    (0, b"II*\0", "tiff"), (0, b"MM\0*", "tiff"), (0, b"II+\0", "tiff"), (0, b"MM\0+", "tiff"),
    (0, b"GIF8", "a GIF"), (0, b"%PDF", "a PDF"), (4, b"ftypavi", "an AVIF picture"),
    (4, b"ftyp", "a HEIF picture or a film"), (0, b"BM", "a BMP"), (0, b"8BPS", "a Photoshop file"),
    (4, b"jP  ", "a JPEG 2000"), (4, b"JXL ", "a JPEG XL"), (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"#?R", "a Radiance HDR picture"), (0, b"v/1\x01", "an OpenEXR picture"),
)  # fmt: skip
_DEPTHS = {"ushort": "16-bit", "short": "16-bit", "uint": "32-bit", "int": "32-bit",
           "float": "floating-point", "double": "floating-point"}  # fmt: skip


def format_of(path: Path | str) -> str:
    """The format that a name's suffix stands for. Raises PictureError for an unknown one."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise PictureError(f"{path}: no picture's suffix; use one of {', '.join(FORMATS)}")
    return FORMATS[suffix]


def recognize(path: Path) -> str:
    """The format of the file by its first bytes; every other kind is a PictureError."""
    if os.path.isdir(path):
        raise PictureError(f"{path}: a folder, not a picture; give a file")
    if os.path.exists(path) and not os.path.isfile(path):
        raise PictureError(f"{path}: not a regular file; give a picture's file")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise PictureError(f"{path}: the file is empty; get a whole copy of it")
    for start, signature, kind in _SIGNATURES:
        if head.startswith(signature, start):
            if kind in LONGEST_SIDE:
                return kind
            raise PictureError(f"{path}: {kind}; {READABLE}")
    if b"<svg" in head:
        raise PictureError(f"{path}: an SVG drawing; {READABLE}")
    raise PictureError(f"{path}: not a picture that limner knows; {READABLE}")


def refusal(path: Path, format: str, image: pyvips.Image) -> str | None:
    """What keeps this picture from being read, in words; None for 8-bit grey or RGB."""
    pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
    if pages > 1:
        return f"an animation of {pages} frames" if format == "webp" else f"{pages} pages"
    if format == "png" and _animated_png(path):
        return "an animated PNG"
    if image.interpretation == "cmyk":
        return "CMYK colors"
    if image.interpretation in ("lab", "labq", "labs", "xyz"):
        return f"{image.interpretation.upper()} colors"
    if image.format != "uchar":
        return f"{_DEPTHS.get(image.format, image.format)} pixels"
    if image.bands in (2, 4):
        return "an alpha channel (transparency)"
    if image.bands not in (1, 3):
        return f"{image.bands} channels"
    return None


def _animated_png(path: Path) -> bool:
    """Whether an acTL chunk stands before the pixels (libvips shows the first frame alone)."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"acTL", b"IDAT"):
                return bool(name == b"acTL")
            file.seek(length + 4, os.SEEK_CUR)
    return False


def detail(error: pyvips.Error) -> str:
    """The first line of libvips' message: what follows is often the same error once more."""
    lines = [line.strip() for line in str(error.detail).splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
