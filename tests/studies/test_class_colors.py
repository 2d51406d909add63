"""Kinds of colors by hand, and shares against the arrays that they come from."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from limner.palette import Palette
from limner.studies.class_colors import (
    CHROMATIC,
    DARK,
    HUES,
    RULE,
    brightness_error,
    grey,
    kinds,
    recall,
    share,
)
from limner.studies.scoring import Truth, by_class
from limner.weights import palette as embedded

NAMED = {  # that nobody would name otherwise
    "grey": (128, 128, 128), "brown": (101, 67, 33), "green": (60, 120, 40), "blue": (70, 110, 180),
    "none": (220, 190, 130),
}  # fmt: skip


def test_kinds_by_their_names() -> None:
    found = kinds(Palette("rgb", np.array(list(NAMED.values()), np.float32)))
    assert found == {"grey": [0], "brown": [1], "green": [2], "blue": [3]}


def test_kinds_of_the_embedded_palette_follow_the_rule() -> None:
    palette = embedded("horse24")
    found = kinds(palette)
    for place, (L, a, b) in enumerate(rgb2lab(palette.colors / 255)):
        chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
        names = [name for name, (low, high) in HUES.items() if low <= hue < high]
        names = [name for name in names if chroma >= CHROMATIC and (name != "brown" or L < DARK)]
        expected = ["grey"] if chroma < CHROMATIC else names
        assert [name for name, classes in found.items() if place in classes] == expected
    assert all(found.values())
    assert "100 to 200 (green)" in RULE


@pytest.fixture
def truth() -> Truth:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    return Truth(pictures, embedded("horse24"))


def test_shares_are_those_of_the_pixels(truth: Truth) -> None:
    logits = np.random.default_rng(1).normal(size=(24, *truth.classes.shape)).astype(np.float32)
    said, true = logits.argmax(axis=0), truth.classes
    table = by_class(logits, truth)
    members = kinds(truth.palette)["brown"]
    ours, theirs = np.isin(said, members), np.isin(true, members)
    assert share(table, members) == pytest.approx(ours.mean(), abs=1e-4)
    assert share(table, members, "true") == pytest.approx(theirs.mean(), abs=1e-4)
    assert recall(table, members) == pytest.approx((said == true)[theirs].mean(), abs=1e-3)
    assert grey(table, members) == pytest.approx(truth.grey[ours].mean(), abs=0.05)


def test_what_never_occurs(truth: Truth) -> None:
    table = {name: [0.0] * 24 for name in ("true", "predicted", "recall", "grey")}
    assert recall(table, [0, 1]) == 0
    assert np.isnan(grey(table, [0, 1]))


def test_brightness_error_is_the_distance_to_the_grey(truth: Truth) -> None:
    mean = truth.palette.colors.mean(axis=1)
    error = np.abs(mean[truth.classes] - truth.grey)
    assert brightness_error(truth.classes[:2], truth) == pytest.approx(error[:2].mean())
    at_edges = error[truth.edges].mean()
    assert brightness_error(truth.classes, truth, edges=True) == pytest.approx(at_edges)
    assert brightness_error(np.zeros_like(truth.classes), truth) > error.mean() + 20
