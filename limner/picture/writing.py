"""Pictures out: encoded strip by strip, whole on disk or not there at all."""

import os
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pyvips

from limner.errors import PictureError
from limner.picture.formats import LONGEST_SIDE, Pixels, detail, format_of
from limner.picture.stream import StripStream


def write_strips(
    path: Path | str,
    width: int,
    height: int,
    strips: Iterable[Pixels],
    format: str | None = None,
    quality: int = 95,
    overwrite: bool = False,
) -> None:
    """Write a picture from its strips, top to bottom: uint8 [rows, width, 3] sRGB, any rows.

    format: "jpeg" (4:4:4), "png", "tiff" (LZW) or "webp"; by default what the name's suffix says.
    quality: 1..100, for JPEG and WebP. The file appears whole or not at all.
    Raises PictureError if the file exists (without `overwrite`) or cannot be written.
    """
    path = Path(path)
    format = format or format_of(path)
    if format not in LONGEST_SIDE:
        raise PictureError(f"format {format!r}: not known; use one of {', '.join(LONGEST_SIDE)}")
    if not 1 <= quality <= 100:
        raise PictureError(f"quality {quality}: out of range; give 1 to 100")
    if max(width, height) > LONGEST_SIDE[format]:
        raise PictureError(
            f"{path}: {width} x {height} is too large for {format}, which ends at "
            f"{LONGEST_SIDE[format]:,} pixels a side; choose another format"
        )
    source = StripStream(width, height, iter(strips))
    with _beside(path, overwrite) as descriptor:
        try:
            _encode_apart(source, descriptor, format, quality)
        except pyvips.Error as error:
            if source.error is None:
                raise PictureError(
                    f"{path}: cannot be written ({detail(error)}); "
                    "check that the disk has room for it"
                ) from error
        if source.error is not None:
            raise source.error


def _encode_apart(source: StripStream, descriptor: int, format: str, quality: int) -> None:
    """Encode in a thread of its own: while libvips works, this one can be interrupted."""

    def encode() -> None:
        pyvips.Error("")  # takes the text of earlier errors out of libvips
        _encode(source.image(), pyvips.Target.new_to_descriptor(descriptor), format, quality)

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(encode)
        try:
            job.result()
        except KeyboardInterrupt as stop:
            source.stop(stop)
            raise


@contextmanager
def _beside(path: Path, overwrite: bool) -> Iterator[int]:
    """A descriptor to write to; what was written becomes `path` if all went well, or vanishes."""
    _must_be_free(path, overwrite)
    part = path.with_name(f".limner-{secrets.token_hex(8)}.part")
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                yield descriptor
            finally:
                os.close(descriptor)
            _put(part, path, overwrite)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise PictureError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its permissions"
        ) from error


def _put(part: Path, path: Path, overwrite: bool) -> None:
    """Give the file `part` the name `path`."""
    if not overwrite:
        # A link, unlike a rename, fails where a file has appeared. What else keeps it from being
        # made (not every file system has links), the lines below do without, or say.
        with suppress(OSError):
            os.link(part, path)
            return
    _must_be_free(path, overwrite)
    part.replace(path)


def _must_be_free(path: Path, overwrite: bool) -> None:
    if os.path.isdir(path):
        raise PictureError(f"{path}: a folder stands there; give the name of a file")
    if not overwrite and os.path.lexists(path):
        raise PictureError(f"{path}: exists already; remove it or allow it (--overwrite)")


def _encode(image: pyvips.Image, target: pyvips.Target, format: str, quality: int) -> None:
    if format == "jpeg":
        image.jpegsave_target(target, Q=quality, subsample_mode="off", keep="none")
    elif format == "png":
        image.pngsave_target(target, keep="none")
    elif format == "tiff":
        image.tiffsave_target(target, compression="lzw", predictor="horizontal", keep="none")
    else:
        image.webpsave_target(target, Q=quality, keep="none")
