"""A picture that exists only while it is read: lets libvips' encoders pull from strips of rows."""

import os
import struct
from collections.abc import Iterator

import numpy as np
import pyvips

from limner.picture.formats import Pixels

STRIP_ROWS = 32
STRIP_PIXELS = 1 << 16  # narrow pictures get taller strips


def strip_rows(width: int) -> int:
    """How many rows are worked on at a time in a picture of this width."""
    return max(STRIP_ROWS, STRIP_PIXELS // width)


class StripStream:
    """An uncompressed BigTIFF that exists only while it is read, front to back.

    libvips' encoders pull; this lets them pull from an iterator of strips. A header in memory
    (TIFF 6.0 with 64-bit offsets) is followed by the strips, each made when it is reached.
    """

    def __init__(self, width: int, height: int, strips: Iterator[Pixels]) -> None:
        self.error: BaseException | None = None
        self._strips = strips
        self._width = width
        self._header = _tiff_header(width, height)
        self._length = len(self._header) + width * height * 3
        self._position = 0
        self._strip = memoryview(b"")
        self._strip_start = self._strip_end = len(self._header)  # its place in the file

    def image(self) -> pyvips.Image:
        self._source = pyvips.SourceCustom()  # libvips calls it as long as it encodes: keep it
        self._source.on_read(self._read)
        self._source.on_seek(self._seek)
        return pyvips.Image.tiffload_source(self._source, access="sequential", fail_on="error")

    def stop(self, error: BaseException) -> None:
        """Give nothing more: the encoder fails at its next read."""
        self.error = self.error or error

    def _read(self, size: int) -> bytes:
        """Called from libvips' threads, which errors cannot cross: they are kept, no bytes come."""
        if self.error is not None:
            return b""
        try:
            data = self._bytes(size)
        except BaseException as error:
            self.stop(error)
            return b""
        self._position += len(data)
        return data

    def _bytes(self, size: int) -> bytes:
        if self._position < len(self._header):
            return self._header[self._position : self._position + size]
        if self._position >= self._length:
            return b""
        while self._position >= self._strip_end:
            self._advance()
        start = self._position - self._strip_start
        if start < 0:
            raise RuntimeError("the encoder went back over strips that are gone")
        return bytes(self._strip[start : start + size])

    def _advance(self) -> None:
        strip = next(self._strips, None)
        if strip is None:
            raise ValueError("the strips ended before the picture did")
        if strip.shape[1:] != (self._width, 3) or strip.dtype != np.uint8:
            raise ValueError(f"a strip is {strip.dtype} {strip.shape}, its width {self._width}")
        self._strip = memoryview(strip.tobytes())
        self._strip_start = self._strip_end
        self._strip_end += len(self._strip)

    def _seek(self, offset: int, whence: int) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = base + offset
        return self._position


def _tiff_header(width: int, height: int) -> bytes:
    """Of an uncompressed RGB BigTIFF whose strips follow the header one after the other."""
    rows = min(height, strip_rows(width))
    count = -(-height // rows)
    tags = 10
    arrays = 16 + 8 + 20 * tags + 8
    one = count == 1  # a single value stands in the entry itself
    start = arrays + (0 if one else 16 * count)
    sizes = [3 * width * min(rows, height - top) for top in range(0, height, rows)]
    offsets = [start + 3 * width * top for top in range(0, height, rows)]
    short, long, long8 = 3, 4, 16
    entries = (
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, 3, 8 | 8 << 16 | 8 << 32),  # bits of each channel
        (259, short, 1, 1),  # not compressed
        (262, short, 1, 2),  # RGB
        (273, long8, count, offsets[0] if one else arrays),
        (277, short, 1, 3),  # channels
        (278, long, 1, rows),
        (279, long8, count, sizes[0] if one else arrays + 8 * count),
        (284, short, 1, 1),  # channels side by side
    )
    header = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, tags)
    header += b"".join(struct.pack("<HHQQ", *entry) for entry in entries) + bytes(8)
    return header if one else header + struct.pack(f"<{2 * count}Q", *offsets, *sizes)
