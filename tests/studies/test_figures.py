"""Figures: the same input makes the same bytes, and what is drawn is what was given."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from limner import drawing
from limner.scores import Interval
from limner.studies import figures


def draw_curves() -> Figure:
    lines: dict[str, figures.Line] = {
        "unet": ([1, 2, 3], [[3.0, 2.0, 1.0], [3.2, 2.4, 1.6]]),
        "cnn": ([1, 3], [[3, 2]]),
    }
    return figures.curves(lines, "step", "loss")


def draw_bars() -> Figure:
    nan = math.nan
    values = {"unet": Interval(0.5, 0.45, 0.55), "cnn": Interval(0.4, nan, nan)}
    return figures.bars(values, "accuracy", {"look-up": 0.6})


TRUTH = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


def draw_pictures() -> Figure:
    return figures.pictures({"truth": TRUTH, "unet": np.zeros((2, 8, 8, 3), np.uint8)})


@pytest.mark.parametrize("draw", [draw_curves, draw_bars, draw_pictures])
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_input_makes_the_same_bytes(draw: Callable[[], Figure], kind: str) -> None:
    content = drawing.render(draw(), kind)
    assert content == drawing.render(draw(), kind)
    assert content.startswith(b"\x89PNG" if kind == "png" else b"<?xml")


def test_curves_are_means_and_ranges_of_seeds() -> None:
    (axes,) = draw_curves().axes
    unet, cnn = axes.lines
    np.testing.assert_allclose(np.asarray(unet.get_xydata()), [[1, 3.1], [2, 2.2], [3, 1.3]])
    np.testing.assert_allclose(np.asarray(cnn.get_xydata()), [[1, 3], [3, 2]])
    (band,) = axes.collections  # a single seed has none
    box = band.get_datalim(axes.transData)
    assert (box.y0, box.y1) == pytest.approx((1.0, 3.2))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss")


def test_bars_are_values_with_intervals_and_marks() -> None:
    figure = draw_bars()
    (axes,) = figure.axes
    assert [bar.get_extents().width for bar in axes.patches] == pytest.approx(
        [
            axes.transData.transform((x, 0))[0] - axes.transData.transform((0, 0))[0]
            for x in (0.5, 0.4)
        ]
    )
    assert [label.get_text() for label in axes.get_yticklabels()] == ["unet", "cnn"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["look-up"]


def test_pictures_stay_sharp_and_in_their_rows() -> None:
    lines = draw_pictures().axes
    assert [axes.get_ylabel() for axes in lines] == ["truth", "unet"]
    truth, unet = (np.asarray(axes.images[0].get_array()) for axes in lines)
    assert lines[0].images[0].get_interpolation() == "nearest"
    side = truth.shape[0]
    assert truth.shape == unet.shape == (side, 3 * (side + figures.GAP), 3)
    for n in range(3):
        start = n * (side + figures.GAP)
        np.testing.assert_array_equal(truth[:, start : start + side], TRUTH[n])
        assert (truth[:, start + side : start + side + figures.GAP] == 255).all()
    assert (unet[:, -side - figures.GAP :] == 255).all()  # a row of two


def test_a_png_is_drawn_at_its_dots(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("figure") / "curves.png"
    path.write_bytes(drawing.render(draw_curves(), "png"))
    with Image.open(path) as picture:
        assert picture.size == (7 * drawing.DOTS, round(4.2 * drawing.DOTS))
        assert "Software" not in picture.info
