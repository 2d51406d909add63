"""A painting is made when it is asked for: whole, or strip by strip into a file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.errors import PictureError
from limner.paint import strips
from limner.paint.join import join, light_of
from limner.paint.painting import LONGEST_SHOWN, Painting
from limner.paint.upsample import Upsampler

Paint = Callable[[Any], Painting]


@pytest.fixture
def paint(painter: Callable[..., Any]) -> Paint:
    ours = painter()
    return lambda photo: ours.colorize(photo)


def test_strips_are_the_whole(paint: Paint, photo: np.ndarray) -> None:
    tall = np.tile(photo, (4, 5))
    painting = paint(tall)
    height, width = tall.shape
    across, down = painting.cells_across / width, painting.cells_down / height
    light = light_of(tall)
    upsampler = Upsampler(painting.ab, painting.guide, width, across, down)
    whole = join(light, *upsampler.rows(0, light))
    assert np.array_equal(painting.array, whole)


def test_threads_change_no_byte(
    paint: Paint, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tall = np.tile(photo, (6, 5))
    many = paint(tall).array
    monkeypatch.setattr(strips, "MOST_THREADS", 1)
    assert np.array_equal(paint(tall).array, many)


@pytest.mark.parametrize("name", ["out.png", "out.tif", "out.jpg", "out.webp"])
def test_saving(paint: Paint, tmp_path: Path, photo: np.ndarray, name: str) -> None:
    Image.fromarray(photo).save(tmp_path / "in.png")
    painting = paint(tmp_path / "in.png")
    painting.save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        error = np.abs(np.asarray(image).astype(int) - painting.array).mean()
    assert error == 0 if name.endswith(("png", "tif")) else error < 4
    assert sorted(os.listdir(tmp_path)) == sorted(["in.png", name])


def test_same_bytes_out(paint: Paint, tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo).save(tmp_path / "in.jpg")
    for name in ("a.jpg", "b.jpg"):
        paint(tmp_path / "in.jpg").save(tmp_path / name)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_format_quality_and_overwriting(paint: Paint, tmp_path: Path, photo: np.ndarray) -> None:
    painting = paint(photo)
    painting.save(tmp_path / "a.jpg", quality=30)
    low = (tmp_path / "a.jpg").stat().st_size
    with pytest.raises(PictureError, match="exists already"):
        painting.save(tmp_path / "a.jpg")
    painting.save(tmp_path / "a.jpg", overwrite=True)
    assert (tmp_path / "a.jpg").stat().st_size > low
    painting.save(tmp_path / "b.jpg", format="png")
    assert (tmp_path / "b.jpg").read_bytes().startswith(b"\x89PNG")


def test_upright_when_turned(paint: Paint, tmp_path: Path, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).save(tmp_path / "in.png", exif=exif)
    painting = paint(tmp_path / "in.png")
    assert (painting.width, painting.height) == (photo.shape[0], photo.shape[1])
    painting.save(tmp_path / "out.png")
    upright = paint(np.rot90(photo, -1).copy()).array
    with Image.open(tmp_path / "out.png") as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert np.abs(np.asarray(image).astype(int) - upright).mean() < 1


def test_a_photograph_cut_short_leaves_nothing(
    paint: Paint, tmp_path: Path, photo: np.ndarray
) -> None:
    path = tmp_path / "in.jpg"
    Image.fromarray(np.tile(photo, (5, 3))).save(path)
    content = path.read_bytes()
    painting = paint(path)
    path.write_bytes(content[: len(content) // 2])  # after the network has seen it
    with pytest.raises(PictureError, match=r"in\.jpg: cut short"):
        painting.save(tmp_path / "out.jpg")
    assert os.listdir(tmp_path) == ["in.jpg"]
    with pytest.raises(PictureError, match=r"in\.jpg: cut short"):
        paint(path)


def test_certainty_is_between_nothing_and_all(paint: Paint, photo: np.ndarray) -> None:
    painting = paint(photo)
    assert painting.certainty_map.shape == painting.ab.shape[:2]
    assert 0 < painting.certainty < 1
    assert painting.certainty == pytest.approx(painting.certainty_map.mean())


def test_the_certainty_picture(paint: Paint, photo: np.ndarray) -> None:
    picture = paint(photo).certainty_picture()
    assert picture.dtype == np.uint8
    assert picture.shape[1] == photo.shape[1]
    assert picture.shape[0] > photo.shape[0]  # the legend below


def test_the_compare_picture(paint: Paint, photo: np.ndarray) -> None:
    painting = paint(photo)
    picture = painting.compare_picture()
    width = photo.shape[1]
    assert picture.shape[0] == photo.shape[0]
    assert (picture[:, :width] == photo[..., None]).all()
    assert np.array_equal(picture[:, -width:], painting.array)


def test_pictures_for_showing_are_bounded(paint: Paint, photo: np.ndarray) -> None:
    painting = paint(np.tile(photo, (3, 20)))
    assert painting.certainty_picture().shape[1] == LONGEST_SHOWN
    height, width, _ = painting.compare_picture().shape
    assert width <= LONGEST_SHOWN and height < 150
    tiny = paint(photo[:1, :1])
    assert tiny.compare_picture().shape[0] == 1
    assert tiny.certainty_picture().shape[0] > 1
