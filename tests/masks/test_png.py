"""Masks in and out of PNG, with Pillow as the second hand, and every file that is no mask."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from limner.errors import DataError, LimnerError, PictureError
from limner.masks.labels import IGNORED, VOC_BORDER, voc_colors, voc_labels
from limner.masks.png import read_mask, write_mask
from limner.palette import Palette

PETS = Palette("rgb", np.array([[0, 0, 0], [200, 0, 0], [0, 90, 0]]), ("none", "cat", "dog"))
MASK = np.array([[0, 1, 2, 255], [2, 2, 1, 0], [0, 0, 255, 1]], np.uint8)


def labels_of(K: int) -> Palette:
    return Palette("rgb", voc_colors(K), tuple(f"class {number}" for number in range(K)))


def masks(K: int, seed: int, height: int = 9, width: int = 13) -> NDArray[np.uint8]:
    """Any classes, and some pixels ignored."""
    numbers = np.append(np.arange(K), IGNORED)
    return np.random.default_rng(seed).choice(numbers, (height, width)).astype(np.uint8)


def painted(mask: NDArray[np.uint8], labels: Palette, ignored: tuple[int, ...]) -> Image.Image:
    """The mask in the labels' colors, RGB."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(labels)] = labels.swatches()
    table[IGNORED] = ignored
    return Image.fromarray(table[mask])


def bare_png(path: Path, rows: list[list[int]], bits: int) -> Path:
    """A grey PNG of 1, 2 or 4 bits a pixel, byte by byte (ISO/IEC 15948), which Pillow cannot
    write; a row fills whole bytes."""
    lines = b""
    for row in rows:
        number = 0
        for value in row:
            number = number << bits | value
        lines += b"\0" + number.to_bytes(len(row) * bits // 8, "big")
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), bits, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + name + body
        content += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(content)
    return path


def refused(path: Path, labels: Palette = PETS) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as error:
        read_mask(path, labels)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: ")
    return message


# In


def test_a_palette_png_holds_the_numbers_whatever_its_colors(tmp_path: Path) -> None:
    image = Image.fromarray(MASK)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as again:
        assert again.mode == "P"
    mask = read_mask(tmp_path / "m.png", PETS)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("numbers", [2, 4, 16])
def test_a_small_palette_of_few_bits_holds_the_numbers(tmp_path: Path, numbers: int) -> None:
    """Pillow writes 1, 2 or 4 bits a pixel where the palette is that small."""
    mask = np.random.default_rng(1).integers(0, numbers, (5, 8)).astype(np.uint8)
    image = Image.fromarray(mask)
    image.putpalette(bytes(range(3 * numbers)))
    image.save(tmp_path / "m.png")
    assert (tmp_path / "m.png").read_bytes()[24] == {2: 1, 4: 2, 16: 4}[numbers]  # bit depth
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", labels_of(16)), mask)


def test_a_grey_png_holds_the_numbers(tmp_path: Path) -> None:
    Image.fromarray(MASK).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", PETS), MASK)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_grey_png_of_few_bits_holds_the_numbers(tmp_path: Path, bits: int) -> None:
    rows = np.random.default_rng(bits).integers(0, 1 << bits, (3, 16)).tolist()
    path = bare_png(tmp_path / "m.png", rows, bits)
    assert read_mask(path, labels_of(16)).tolist() == rows


def test_a_16_bit_png_holds_the_numbers(tmp_path: Path) -> None:
    Image.fromarray(MASK.astype(np.uint16)).save(tmp_path / "m.png")
    mask = read_mask(tmp_path / "m.png", PETS)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("ignored", [(255, 255, 255), VOC_BORDER])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_rgb_png_holds_the_labels_colors(
    tmp_path: Path, mode: str, ignored: tuple[int, ...]
) -> None:
    labels = voc_labels()
    mask = masks(21, seed=2)
    painted(mask, labels, ignored).convert(mode).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", labels), mask)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_rgb_png_may_lack_a_channel(tmp_path: Path, mode: str) -> None:
    mask = np.minimum(MASK, 2)  # nothing ignored, so no blue
    painted(mask, PETS, (1, 2, 3)).convert(mode).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", PETS), mask)


def test_white_is_a_class_where_a_label_has_it(tmp_path: Path) -> None:
    labels = Palette("rgb", np.array([[0, 0, 0], [255, 255, 255]]), ("paper", "snow"))
    painted(np.array([[0, 1]], np.uint8), labels, (0, 0, 0)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", labels).tolist() == [[0, 1]]
    assert read_mask(tmp_path / "m.png", PETS).tolist() == [[0, 255]]


def test_the_name_says_nothing(tmp_path: Path) -> None:
    Image.fromarray(MASK).save(tmp_path / "m", "PNG")
    np.testing.assert_array_equal(read_mask(tmp_path / "m", PETS), MASK)


# What is no mask of these labels


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_more_classes_than_labels_are_named(tmp_path: Path, kind: type) -> None:
    mask: NDArray[np.integer[Any]] = MASK.astype(kind)
    mask[0, :2] = 3, 7
    Image.fromarray(mask).save(tmp_path / "m.png")
    message = refused(tmp_path / "m.png")
    assert "class 7 at 2 pixels" in message
    assert "0..2" in message
    assert np.array_equal(read_mask(tmp_path / "m.png", labels_of(8)), mask)  # control


def test_16_bit_numbers_do_not_wrap(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256, 511]], np.uint16)).save(tmp_path / "m.png")
    assert "class 511 at 2 pixels" in refused(tmp_path / "m.png")


def test_an_unknown_color_is_named_with_its_place(tmp_path: Path) -> None:
    image = painted(MASK, PETS, (255, 255, 255))
    image.putpixel((3, 1), (200, 0, 1))
    image.save(tmp_path / "m.png")
    assert "(200, 0, 1) at column 3, row 1" in refused(tmp_path / "m.png")


def test_the_colors_of_other_labels_are_unknown(tmp_path: Path) -> None:
    painted(masks(21, seed=0), voc_labels(), (255, 255, 255)).save(tmp_path / "m.png")
    assert "is no class's" in refused(tmp_path / "m.png")


def test_pixels_of_another_kind_are_named(tmp_path: Path) -> None:
    Image.fromarray(MASK).convert("LA").save(tmp_path / "m.png")
    assert "kind LA" in refused(tmp_path / "m.png")


@pytest.mark.parametrize("format", ["JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_only_png_is_read(tmp_path: Path, format: str) -> None:
    Image.fromarray(MASK).save(tmp_path / "m.png", format)
    assert "give a whole PNG" in refused(tmp_path / "m.png")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "gone.png")
    assert "Is a directory" in refused(tmp_path)
    (tmp_path / "m.png").write_bytes(b"")
    assert "no mask can be read" in refused(tmp_path / "m.png")


def test_a_file_cut_short_anywhere_is_named(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", masks(3, 0, 40, 50), PETS)
    content = (tmp_path / "m.png").read_bytes()
    for length in range(0, content.index(b"IDAT") + 200, 7):
        (tmp_path / "cut.png").write_bytes(content[:length])
        refused(tmp_path / "cut.png")


def test_a_damaged_byte_is_named_or_harmless(tmp_path: Path) -> None:
    mask = masks(3, 0, 20, 20)
    write_mask(tmp_path / "m.png", mask, PETS)
    content = (tmp_path / "m.png").read_bytes()
    failed = 0
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        (tmp_path / "bad.png").write_bytes(damaged)
        try:
            assert read_mask(tmp_path / "bad.png", PETS).shape == mask.shape
        except DataError:
            failed += 1
    assert failed > len(content) / 6


def test_a_mask_that_is_too_large_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mask(tmp_path / "m.png", MASK, PETS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)  # twice that is refused
    assert "too large" in refused(tmp_path / "m.png")


# Out


@pytest.mark.parametrize("K", [1, 2, 21, 255])
def test_pillow_reads_the_same_numbers_and_colors(tmp_path: Path, K: int) -> None:
    labels, mask = labels_of(K), masks(K, seed=K)
    write_mask(tmp_path / "m.png", mask, labels)
    with Image.open(tmp_path / "m.png") as image:
        assert (image.format, image.mode) == ("PNG", "P")
        np.testing.assert_array_equal(np.asarray(image), mask)
        shown = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(shown, np.asarray(painted(mask, labels, VOC_BORDER)))


def test_a_written_voc_mask_has_vocs_colors(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", np.array([[0, 15, 255]], np.uint8), voc_labels())
    with Image.open(tmp_path / "m.png") as image:
        shown = np.asarray(image.convert("RGB"))
    assert shown.tolist() == [[[0, 0, 0], [192, 128, 128], [224, 224, 192]]]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("masks")


@given(st.integers(1, 255), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_there_and_back_is_the_same_mask(
    shelf: Path, K: int, height: int, width: int, seed: int
) -> None:
    path = shelf / "there.png"
    mask = masks(K, seed, height, width)
    write_mask(path, mask, labels_of(K), overwrite=True)
    np.testing.assert_array_equal(read_mask(path, labels_of(K)), mask)


def test_rows_in_any_memory_order_are_written(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", MASK.T, PETS)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", PETS), MASK.T)


def test_the_same_mask_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_mask(tmp_path / name, MASK, PETS)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    path.write_bytes(b"mine")
    with pytest.raises(PictureError, match="exists already"):
        write_mask(path, MASK, PETS)
    assert path.read_bytes() == b"mine"
    write_mask(path, MASK, PETS, overwrite=True)
    np.testing.assert_array_equal(read_mask(path, PETS), MASK)


def test_a_mask_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match=r"gone/m\.png: cannot be written") as error:
        write_mask(tmp_path / "gone" / "m.png", MASK, PETS)
    assert len(str(error.value).splitlines()) == 1
