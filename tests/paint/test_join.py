"""Chroma joined with light: the colors of color.py, faster, and the light stays."""

import numpy as np
import pytest

from limner.color import gray8_to_light, lab_to_rgb8, rgb8_to_lab
from limner.paint import blocks
from limner.paint.join import join, light_of

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)


def test_light_of_grey_and_color() -> None:
    assert np.array_equal(light_of(RGB[..., 0]), gray8_to_light(RGB[..., 0]))
    assert np.abs(light_of(RGB) - rgb8_to_lab(RGB)[..., 0]).max() < 0.02


def test_the_colors_are_those_of_color() -> None:
    """In and out of the gamut, to one level of 255 (the tables differ), in nearly all pixels."""
    light = RNG.uniform(0, 100, (300, 300)).astype(np.float32)
    a, b = RNG.normal(0, 50, (2, 300, 300)).astype(np.float32)
    found = join(light, a, b).astype(int)
    expected = lab_to_rgb8(np.stack([light, a, b], axis=-1))
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.02


def test_there_and_back() -> None:
    light, a, b = np.moveaxis(rgb8_to_lab(RGB), -1, 0)
    assert np.abs(join(light, a, b).astype(int) - RGB).max() <= 1


def test_no_chroma_is_the_grey_itself() -> None:
    grey = np.arange(256, dtype=np.uint8)[None]
    none = np.zeros((1, 256), np.float32)
    assert np.array_equal(join(light_of(grey), none, none), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("chroma", [10, 60, 150])
def test_light_is_kept_whatever_the_chroma(chroma: float) -> None:
    grey = RNG.integers(0, 256, (200, 200), dtype=np.uint8)
    light = light_of(grey)
    turn = RNG.uniform(0, 2 * np.pi, grey.shape)
    a, b = (chroma * np.stack([np.cos(turn), np.sin(turn)])).astype(np.float32)
    lab = rgb8_to_lab(join(light, a, b))
    assert np.abs(lab[..., 0] - light).mean() < 0.5
    assert np.hypot(lab[..., 1], lab[..., 2]).mean() > 5  # there is chroma to be kept from


def test_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    light, a, b = np.moveaxis(rgb8_to_lab(RGB), -1, 0).copy()
    whole = join(light, a, b)
    monkeypatch.setattr(blocks, "BLOCK", 60)
    assert np.array_equal(join(light, a, b), whole)
