"""Only 8-bit grey and RGB JPEG, PNG, TIFF and WebP pass; all else is refused by its name."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from limner.errors import PictureError
from limner.picture import format_of, open_picture

GREY = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10)
RGB = np.stack([GREY, GREY[::-1], GREY // 2], axis=-1)
RGBA = np.dstack([RGB, GREY])


def refused(path: Path) -> str:
    """The one line that says why this file is not read."""
    with pytest.raises(PictureError) as caught:
        open_picture(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("name", "pixels", "bands"),
    [
        ("grey.jpg", GREY, 1),
        ("rgb.jpg", RGB, 3),
        ("grey.png", GREY, 1),
        ("rgb.png", RGB, 3),
        ("grey.tif", GREY, 1),
        ("rgb.tif", RGB, 3),
        ("rgb.webp", RGB, 3),
    ],
)
def test_the_kinds_that_are_read(tmp_path: Path, name: str, pixels: np.ndarray, bands: int) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    picture = open_picture(tmp_path / name)
    assert (picture.width, picture.height, picture.bands) == (10, 12, bands)
    assert picture.format == format_of(name)


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "odd.jpg", "PNG")
    assert open_picture(tmp_path / "odd.jpg").format == "png"


def test_fewer_bits_and_opaque_palettes_are_expanded(tmp_path: Path) -> None:
    dots = Image.fromarray(np.where(GREY % 2, 255, 0).astype(np.uint8)).convert("1")
    dots.save(tmp_path / "dots.png")
    assert np.array_equal(open_picture(tmp_path / "dots.png").array(), np.asarray(dots) * 255)
    palette = Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "palette.png")
    found = open_picture(tmp_path / "palette.png").array()
    assert np.array_equal(found, np.asarray(palette.convert("RGB")))


def test_alpha_and_palettes_with_transparency(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif", "a.webp"):
        Image.fromarray(RGBA).save(tmp_path / name)
        assert "alpha" in refused(tmp_path / name)
    Image.fromarray(GREY).convert("LA").save(tmp_path / "la.png")
    assert "alpha" in refused(tmp_path / "la.png")
    Image.fromarray(RGB).quantize(16).save(tmp_path / "palette.png", transparency=3)
    assert "alpha" in refused(tmp_path / "palette.png")


def test_deep_pixels(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert "16-bit" in refused(tmp_path / "deep.png")
    tifffile.imwrite(tmp_path / "deep.tif", RGB.astype(np.uint16), photometric="rgb")
    assert "16-bit" in refused(tmp_path / "deep.tif")
    tifffile.imwrite(tmp_path / "float.tif", GREY.astype(np.float32))
    assert "floating-point" in refused(tmp_path / "float.tif")


def test_other_colors(tmp_path: Path) -> None:
    cmyk = Image.fromarray(RGB).convert("CMYK")
    for name in ("cmyk.jpg", "cmyk.tif"):
        cmyk.save(tmp_path / name)
        assert "CMYK" in refused(tmp_path / name)
    pyvips.Image.new_from_array(RGB).colourspace("lab").tiffsave(str(tmp_path / "lab.tif"))
    assert "LAB" in refused(tmp_path / "lab.tif")


def test_several_pages(tmp_path: Path) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    for name, word in (("a.tif", "2 pages"), ("a.webp", "2 frames"), ("a.png", "animated PNG")):
        first.save(tmp_path / name, save_all=True, append_images=[second])
        assert word in refused(tmp_path / name)


@pytest.mark.parametrize(
    ("start", "word"),
    [
        (b"GIF89a", "GIF"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"\0\0\0\x18ftypheic", "HEIF"),
        (b"BM\x9a\0\0\0", "BMP"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"#?RADIANCE\n", "HDR"),
        (b"v/1\x01\2\0\0\0", "OpenEXR"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    ],
)
def test_other_formats_by_name(tmp_path: Path, start: bytes, word: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(start + bytes(100))
    message = refused(path)
    assert word in message
    assert "convert it" in message


def test_no_picture_at_all(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("Grandmother, 1931")
    assert "not a picture" in refused(path)
    path.write_bytes(b"")
    assert "empty" in refused(path)
    assert "no such file" in refused(tmp_path / "missing.jpg")
    assert "folder" in refused(tmp_path)
    assert "cannot be read" in refused(path / "below-a-file.jpg")
    assert "not a regular file" in refused(Path("/dev/null"))


def test_a_header_alone_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(20))
    assert "cut short or damaged" in refused(path)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims its size and holds almost nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(20_000, 20_000))
    message = refused(path)
    assert "20000 x 20000" in message
    assert "100,000,000" in message
    assert open_picture(path, max_pixels=400_000_000).width == 20_000


def test_the_pixel_limit_is_the_most_that_passes(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png", max_pixels=120).height == 12
    with pytest.raises(PictureError, match="more than 119"):
        open_picture(tmp_path / "a.png", max_pixels=119)


def test_an_unknown_suffix() -> None:
    assert format_of("A.JPEG") == "jpeg"
    with pytest.raises(PictureError, match=r"a\.gif"):
        format_of("a.gif")
