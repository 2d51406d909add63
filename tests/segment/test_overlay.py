"""What lies over the photograph, and what stands below it."""

import numpy as np
import pytest
from PIL import ImageDraw

from limner.masks.labels import voc_labels
from limner.palette import Palette
from limner.segment.overlay import LETTERS, NARROWEST, STRENGTH, legend, overlaid

VOC = voc_labels()


def colors_of(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(color) for color in picture.reshape(-1, 3).tolist()}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written on a legend."""
    texts: list[str] = []
    real = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, place: tuple[float, float], words: str, *rest: object,
             **more: object) -> None:  # fmt: skip
        texts.append(words)
        real(self, place, words, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return texts


def test_classes_are_mixed_into_the_photograph() -> None:
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (20, 30, 3), np.uint8)
    mask = random.integers(0, 21, (20, 30), np.uint8)
    mixed = overlaid(photo, mask, VOC.swatches())
    assert mixed.dtype == np.uint8
    for y, x in np.ndindex(20, 30):
        share = STRENGTH if mask[y, x] else 0
        expected = (1 - share) * photo[y, x] + share * VOC.swatches()[mask[y, x]].astype(float)
        assert np.abs(mixed[y, x] - expected).max() <= 0.5


def test_a_background_in_black_leaves_the_photograph_and_one_in_color_does_not() -> None:
    photo = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)
    background = np.zeros((8, 10), np.uint8)
    assert np.array_equal(overlaid(photo, background, VOC.swatches()), photo)
    sky = np.array([[0, 128, 255], [0, 0, 0]], np.uint8)
    assert (overlaid(photo, background, sky)[..., 2] > photo[..., 2]).all()
    # Black is only a background's where it is the first.
    assert (overlaid(photo, background + 1, sky) <= photo // 2 + 1).all()


def test_grey_rows_are_their_rgb() -> None:
    random = np.random.default_rng(1)
    grey = random.integers(0, 256, (5, 9), np.uint8)
    mask = random.integers(0, 3, (5, 9), np.uint8)
    as_rgb = np.stack([grey] * 3, axis=-1)
    colors = VOC.swatches()
    assert np.array_equal(overlaid(grey, mask, colors), overlaid(as_rgb, mask, colors))


def test_what_is_there_is_never_said_to_be_nothing(written: list[str]) -> None:
    legend(VOC, {"background": 0.99, "person": 0.0075, "horse": 0.0025}, 640)
    assert written == ["background 99 %", "person 1 %", "horse < 1 %"]


def test_a_legend_names_the_classes_that_are_there_and_no_others(written: list[str]) -> None:
    drawn = legend(VOC, {"dog": 0.625, "background": 0.25, "person": 0.125}, 640)
    assert drawn.dtype == np.uint8
    assert drawn.shape[1:] == (640, 3)
    assert written == ["dog 62 %", "background 25 %", "person 12 %"]
    shown = colors_of(drawn)
    for name, color in zip(VOC.names, VOC.swatches().tolist(), strict=True):
        if len(set(color)) > 1:  # the letters are black, and grey at their edges
            assert (tuple(color) in shown) == (name in ("dog", "person")), name


@pytest.mark.parametrize("width", [1, NARROWEST - 1, NARROWEST, 333, 5000])
def test_a_legend_is_as_wide_as_the_picture_or_its_own_least(width: int) -> None:
    assert legend(VOC, {"dog": 1.0}, width).shape[1] == max(width, NARROWEST)


@pytest.mark.parametrize("width", [10, 250, 900, 3000])
def test_nothing_is_cut_off(width: int) -> None:
    labels = Palette("rgb", VOC.colors[:3], ("background", "+".join(VOC.names[1:8]), "x" * 40))
    drawn = legend(labels, {name: 1 / 3 for name in labels.names}, width)
    margin = LETTERS[0] // 2 - 1
    for border in (drawn[:, -margin:], drawn[:, :margin], drawn[:margin], drawn[-margin:]):
        assert (border == 255).all()
    assert {(128, 0, 0), (0, 128, 0)} < colors_of(drawn)


def test_lines_end_before_the_border() -> None:
    shares = dict.fromkeys(VOC.names[:6], 1 / 6)
    for width in range(NARROWEST, 700, 9):
        drawn = legend(VOC, shares, width)
        assert drawn.shape[1] == width
        assert (drawn[:, -6:] == 255).all(), width


def test_many_classes_take_more_lines_and_a_wide_picture_larger_letters() -> None:
    few, many = {"dog": 1.0}, dict.fromkeys(VOC.names, 1 / 21)
    assert len(legend(VOC, many, 400)) > 3 * len(legend(VOC, few, 400))
    heights = [len(legend(VOC, few, width)) for width in (200, 600, 2000, 6000, 60_000)]
    assert heights[0] == heights[1] < heights[2] < heights[3] == heights[4]
