"""The write-up's figure 4: classes in their colors, and red where they are wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner import drawing
from limner.errors import DataError
from limner.masks.labels import IGNORED
from limner.studies.tuning import pictures
from limner.studies.tuning.pictures import COLUMNS, painted, picture_figure, wrong

RGB = np.array([[[100, 100, 100], [200, 0, 50], [10, 20, 30], [255, 255, 255]]], np.uint8)
COLORS = np.array([[0, 0, 0], [200, 0, 0], [0, 100, 200]], np.uint8)


def test_classes_lie_over_the_picture_in_their_colors() -> None:
    mask = np.array([[0, 1, 2, IGNORED]], np.uint8)
    expected = [[100, 100, 100], [200, 0, 25], [5, 60, 115], [255, 255, 255]]
    assert painted(RGB, mask, COLORS).tolist() == [expected]
    assert painted(RGB, mask, COLORS).dtype == np.uint8


def test_what_is_not_said_stays_as_it_is_even_under_a_bright_first_class() -> None:
    colors = np.array([[250, 250, 250], [200, 0, 0]], np.uint8)
    mask = np.array([[IGNORED, 0, 1, IGNORED]], np.uint8)
    found = painted(RGB, mask, colors)
    assert np.array_equal(found[:, [0, 3]], RGB[:, [0, 3]])
    assert not (found[:, 1] == RGB[:, 1]).all()


def test_wrong_is_red_and_right_or_ignored_stays_as_it_is() -> None:
    truth = np.array([[1, 0, 2, IGNORED]], np.uint8)
    said = np.array([[1, 2, 0, 1]], np.uint8)
    found = wrong(RGB, truth, said)
    assert np.array_equal(found[:, [0, 3]], RGB[:, [0, 3]])
    assert found[0, 1].tolist() == [210, 10, 35]
    assert found[0, 2].tolist() == [115, 20, 25]


def test_rows_are_spread_over_both_splits(
    base: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "SHOWN", 2)
    figure = picture_figure(base, str(shapes))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        f"{split}: {c}" for split in ("train", "train", "val", "val") for c in COLUMNS
    ]
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes[:: len(COLUMNS)]]
    files = [("train", 0), ("train", 9), ("val", 0), ("val", 2)]
    for rgb, (split, index) in zip(shown, files, strict=True):
        with Image.open(shapes / split / "images" / f"{index}.png") as image:
            assert np.array_equal(rgb, np.asarray(image))
    assert drawing.render(figure, "png")


def test_few_pictures_are_shown_once(base: Path, shapes: Path) -> None:
    figure = picture_figure(base, str(shapes))
    assert len(figure.axes) == (4 + 3) * len(COLUMNS)


def test_a_mask_of_other_sides_is_one_line(
    base: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "read_mask", lambda *_: np.zeros((7, 9), np.uint8))
    with pytest.raises(DataError, match=r"0\.png: 9 x 7 pixels") as error:
        picture_figure(base, str(shapes))
    assert len(str(error.value).splitlines()) == 1
