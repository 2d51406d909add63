"""Pictures are read upright and whole; what is cut short is an error, never a half-grey picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from limner.errors import PictureError
from limner.picture import Picture, from_array, open_picture, read_rgb

RNG = np.random.default_rng(0)
# Smooth, so that a JPEG keeps it; no two corners are alike, so that no turn goes unnoticed.
Y, X = np.mgrid[:90, :140]
GREY = (20 + Y + X / 2 + 30 * (X < 40) * (Y < 30)).astype(np.uint8)
RGB = np.stack([GREY, 255 - GREY, GREY // 2 + 60], axis=-1)
NOISE = RNG.integers(0, 256, (60, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_as_another_reader_turns_it(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"turned.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = open_picture(path)
    assert (picture.height, picture.width) == expected.shape[:2]
    assert np.array_equal(picture.array(), expected)
    small = picture.reduced(picture.width // 2, picture.height // 2)
    by_hand = from_array(expected).reduced(picture.width // 2, picture.height // 2)
    assert small.shape == by_hand.shape
    assert np.abs(small.astype(int) - by_hand).mean() < 2


def test_strips_are_the_rows_in_order() -> None:
    pixels = RNG.integers(0, 256, (70, 5000), dtype=np.uint8)
    strips = list(from_array(pixels).strips())
    assert len(strips) > 2
    assert np.array_equal(np.concatenate(strips), pixels)


def test_an_array_is_kept_as_it_was_given() -> None:
    pixels = NOISE.copy()
    for given in (pixels, pixels[::2, :, ::-1]):
        picture, expected = from_array(given), given.copy()
        pixels[:] = 255 - pixels
        assert np.array_equal(picture.array(), expected)


def save_jpeg(path: Path) -> None:
    Image.fromarray(NOISE).save(path)


def save_progressive(path: Path) -> None:
    Image.fromarray(NOISE).save(path, progressive=True)


def save_tiff(path: Path) -> None:
    tifffile.imwrite(path, NOISE, photometric="rgb", rowsperstrip=8)  # the directory comes first


def save_tiles(path: Path) -> None:
    tifffile.imwrite(path, NOISE, photometric="rgb", tile=(16, 16), compression="zlib")


def save_lossless(path: Path) -> None:
    Image.fromarray(NOISE).save(path, lossless=True)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.jpg", save_jpeg),
        ("progressive.jpg", save_progressive),
        ("a.png", save_jpeg),
        ("a.tif", save_tiff),
        ("tiles.tif", save_tiles),
        ("a.webp", save_jpeg),
        ("lossless.webp", save_lossless),
    ],
)
def test_cut_short(tmp_path: Path, name: str, save: Callable[[Path], None], share: float) -> None:
    path = tmp_path / name
    save(path)
    assert open_picture(path).array().shape == NOISE.shape
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    for read in (Picture.array, lambda picture: picture.reduced(25, 30)):
        with pytest.raises(PictureError, match="cut short or damaged") as caught:
            read(open_picture(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "save"), [("a.png", save_jpeg), ("a.tif", save_tiles)])
def test_damaged_in_the_middle(tmp_path: Path, name: str, save: Callable[[Path], None]) -> None:
    path = tmp_path / name
    save(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(PictureError, match="cut short or damaged"):
        open_picture(path).array()


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    picture = open_picture(path)
    Image.fromarray(NOISE).save(path)
    with pytest.raises(PictureError, match="changed"):
        picture.array()


def test_names_with_brackets_are_names(tmp_path: Path) -> None:
    path = tmp_path / "photo[page=2].png"
    Image.fromarray(RGB).save(path)
    assert np.array_equal(open_picture(path).array(), RGB)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (1, 1, 3)])
def test_the_thinnest_pictures(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "thin.png")
    picture = open_picture(tmp_path / "thin.png")
    assert np.array_equal(picture.array(), pixels)
    assert picture.reduced(100, 1).shape[:2] == (1, min(100, picture.width))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_arrays_that_are_no_pictures(pixels: np.ndarray) -> None:
    with pytest.raises(PictureError, match="array"):
        from_array(pixels)


def test_reducing_takes_means() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 200
    small = from_array(checks.astype(np.uint8)).reduced(16, 16)
    assert np.abs(small.astype(int) - 100)[1:-1, 1:-1].max() <= 1


def test_reducing_keeps_places(tmp_path: Path) -> None:
    big = np.asarray(Image.fromarray(RGB).resize((1400, 900), Image.Resampling.BICUBIC))
    Image.fromarray(big).save(tmp_path / "big.jpg", quality=95)
    small = open_picture(tmp_path / "big.jpg").reduced(140, 90)  # through libjpeg's own reduction
    expected = np.asarray(Image.fromarray(big).resize((140, 90), Image.Resampling.BOX))
    error = np.abs(small.astype(int) - expected).mean()
    assert error < 1
    shifted = np.abs(np.roll(small, 1, axis=1).astype(int) - expected).mean()
    assert error < shifted / 2  # a shift of a pixel would have been seen


def test_nothing_is_enlarged() -> None:
    assert np.array_equal(from_array(RGB).reduced(1000, 1000), RGB)


def test_rgb_for_scores(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    pixels = read_rgb(tmp_path / "a.png")
    assert pixels.shape == (90, 140, 3)
    assert (pixels == GREY[..., None]).all()
    assert read_rgb(tmp_path / "a.png", 45).shape == (45, 70, 3)
    assert read_rgb(tmp_path / "a.png", 256).shape == (90, 140, 3)
