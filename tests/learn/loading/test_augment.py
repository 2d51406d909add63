"""Geometry changes the picture, tone the input alone; asked for nothing, both do nothing."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from limner.learn.loading import augment
from limner.recipe import Recipe

PLAIN = Recipe(steps=1, size=16)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return random(9).integers(0, 256, (height, width, 3)).astype(np.uint8)


def ramps(height: int, width: int) -> NDArray[np.uint8]:
    """A picture that tells where each pixel was: red is its column, green its row."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.arange(width)
    picture[..., 1] = np.arange(height)[:, None]
    return picture


def test_a_square_of_the_size_is_left_as_it_is_without_zoom_and_flip() -> None:
    picture = noise(16, 16)
    for seed in range(5):
        assert np.array_equal(augment.crop(picture, PLAIN, random(seed)), picture)
    assert np.array_equal(augment.middle(picture, 16), picture)


@pytest.mark.parametrize("sides", [(40, 90), (90, 40), (16, 16), (5, 7), (1, 1), (200, 17)])
@pytest.mark.parametrize("zoom", [1.0, 0.3])
def test_a_crop_has_the_size_whatever_the_picture(sides: tuple[int, int], zoom: float) -> None:
    recipe = replace(PLAIN, zoom=zoom, flip=True)
    for seed in range(20):
        square = augment.crop(noise(*sides), recipe, random(seed))
        assert square.shape == (16, 16, 3)
        assert square.dtype == np.uint8
    assert augment.middle(noise(*sides), 16).shape == (16, 16, 3)


@pytest.mark.parametrize("sides", [(60, 200), (200, 60)])
def test_a_crops_side_is_drawn_from_zoom_to_one_and_its_place_evenly(
    sides: tuple[int, int],
) -> None:
    """Read from the crop itself: how far it reaches over the ramps is its side and place."""
    recipe = replace(PLAIN, zoom=0.5, size=60)
    chance, picture = random(), ramps(*sides)
    crops = [augment.crop(picture, recipe, chance).astype(float) for _ in range(300)]
    columns = np.array([[c[30, 0, 0], c[30, -1, 0]] for c in crops])
    rows = np.array([[c[0, 30, 1], c[-1, 30, 1]] for c in crops])
    width, height = np.ptp(columns, axis=1), np.ptp(rows, axis=1)
    assert np.abs(width - height).max() <= 2  # never squashed
    assert 28 <= width.min() < 33  # 0.5 x 60, a pixel of rounding at each end
    assert 55 < width.max() <= 60
    assert 42 < width.mean() < 47  # evenly between 30 and 60
    for place, side in ((columns, sides[1]), (rows, sides[0])):
        middles = place.mean(axis=1)
        assert abs(middles.mean() - side / 2) < side * 0.06
        if side == 200:
            assert middles.min() < 30
            assert middles.max() > 170


def test_half_of_the_crops_are_mirrored() -> None:
    picture = ramps(16, 16)
    straight = augment.crop(picture, PLAIN, random())
    chance, mirrored = random(), 0
    for _ in range(400):
        crop = augment.crop(picture, replace(PLAIN, flip=True), chance)
        turned = np.array_equal(crop, straight[:, ::-1])
        assert turned or np.array_equal(crop, straight)
        mirrored += turned
    assert 160 < mirrored < 240  # 200 expected, deviation 10


def test_one_setting_does_not_change_the_draws_of_the_others() -> None:
    picture = noise(50, 80)
    zoomed = augment.crop(picture, replace(PLAIN, zoom=0.5), random(3))
    both = augment.crop(picture, replace(PLAIN, zoom=0.5, flip=True), random(3))
    assert np.array_equal(both, zoomed) or np.array_equal(both, zoomed[:, ::-1])
    ends = []
    for recipe in (PLAIN, replace(PLAIN, flip=True), replace(PLAIN, zoom=0.5, size=8)):
        chance = random(3)
        augment.crop(picture, recipe, chance)
        ends.append(chance.random())
    assert len(set(ends)) == 1


def test_the_middle_is_the_largest_square_in_the_middle() -> None:
    picture = ramps(20, 60)
    assert np.array_equal(augment.middle(picture, 20), picture[:, 20:40])
    tall = ramps(61, 20)
    middle = augment.middle(tall, 20)
    assert abs(float(middle[..., 1].mean()) - 30) < 0.6  # an odd rest: half a pixel


def test_making_smaller_smooths() -> None:
    """A checkerboard becomes its mean, not some of its pixels."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = augment.resize(np.repeat(board[..., None], 3, axis=2), (0, 0, 64, 64), 16)
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 2


# Tone


def light(n: int = 6) -> NDArray[np.float32]:
    levels = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    return np.repeat(levels, n, axis=0)


def test_no_tone_is_no_change() -> None:
    before = random().random((4, 1, 8, 8), dtype=np.float32)
    after = augment.tone(before.copy(), 0.0, random())
    assert np.array_equal(after, before)


@pytest.mark.parametrize("strength", [0.1, 0.3, 1.0])
def test_a_tone_curve_keeps_the_range_and_the_order_of_levels(strength: float) -> None:
    before = light(200)
    kept = before.copy()
    after = augment.tone(before, strength, random())
    assert np.array_equal(before, kept)  # a new array
    assert after.shape == before.shape
    assert after.dtype == np.float32
    assert after.min() >= 0
    assert after.max() <= 1
    rows = after.reshape(200, -1)
    assert (np.diff(rows, axis=1) >= 0).all()
    assert len(np.unique(rows, axis=0)) == 200  # a curve for each picture
    black, white = rows[:, 0], rows[:, -1]
    assert black.max() <= strength / 3 + 1e-6
    assert white.min() >= 1 - strength / 3 - 1e-6
    assert black.max() > strength / 6  # faded prints are among them
    assert white.min() < 1 - strength / 6
    middle = rows[:, 32]
    assert middle.min() < 0.5 < middle.max()


def test_tone_draws_the_same_numbers_whatever_its_strength() -> None:
    ends = []
    for strength in (0.0, 0.5):
        chance = random(4)
        augment.tone(light(), strength, chance)
        ends.append(chance.random())
    assert ends[0] == ends[1]
