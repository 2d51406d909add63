"""Chroma goes up along the edges of the light, within the range of its inputs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.paint import blocks
from limner.paint.upsample import REACH, Upsampler

RNG = np.random.default_rng(0)


def upsampled(
    values: np.ndarray, guide: np.ndarray, light: np.ndarray, **more: float
) -> np.ndarray:
    height, width = light.shape
    across, down = guide.shape[1] / width, guide.shape[0] / height
    planes = Upsampler(values, guide, width, across, down, **more).rows(0, light)
    return np.stack(planes, axis=-1)


def by_the_formula(values: np.ndarray, guide: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Pixel by pixel, in float64."""
    h, w, C = values.shape
    H, W = light.shape
    out = np.empty((H, W, C))
    for y, x in np.ndindex(H, W):
        v, u = (y + 0.5) * h / H - 0.5, (x + 0.5) * w / W - 0.5
        total, mean = 0.0, np.zeros(C)
        for row in (math.floor(v), math.floor(v) + 1):
            for column in (math.floor(u), math.floor(u) + 1):
                near = (1 - abs(v - row)) * (1 - abs(u - column))
                cell = min(max(row, 0), h - 1), min(max(column, 0), w - 1)
                weight = near / (1 + ((light[y, x] - guide[cell]) / REACH) ** 2)
                total += weight
                mean += weight * values[cell]
        out[y, x] = mean / total
    return out


def scene(h: int, w: int, H: int, W: int, C: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = RNG.normal(0, 30, (h, w, C)).astype(np.float32)
    guide = RNG.uniform(0, 100, (h, w)).astype(np.float32)
    light = RNG.uniform(0, 100, (H, W)).astype(np.float32)
    return values, guide, light


@pytest.mark.parametrize(
    "sizes",
    [(3, 4, 24, 32), (3, 4, 25, 39), (5, 5, 5, 5), (1, 1, 7, 9), (1, 6, 1, 40), (6, 1, 50, 1)],
)
def test_as_the_formula_says(sizes: tuple[int, int, int, int]) -> None:
    values, guide, light = scene(*sizes)
    expected = by_the_formula(values, guide, light)
    assert np.abs(upsampled(values, guide, light) - expected).max() < 1e-3


@given(seed=st.integers(0, 10**6), constant=st.floats(-120, 120, width=32))
def test_constant_in_constant_out(seed: int, constant: float) -> None:
    rng = np.random.default_rng(seed)
    h, w, H, W = rng.integers(1, (6, 6, 40, 40))
    values = np.full((h, w, 1), constant, np.float32)
    guide = rng.uniform(0, 100, (h, w)).astype(np.float32)
    light = rng.uniform(0, 100, (H, W)).astype(np.float32)
    (plane,) = Upsampler(values, guide, int(W), min(1, w / W), min(1, h / H)).rows(0, light)
    assert (plane == np.float32(constant)).all()


@given(seed=st.integers(0, 10**6))
def test_nothing_leaves_the_range_of_its_inputs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    h, w = rng.integers(1, (6, 6))
    values = rng.normal(0, 60, (h, w, 2)).astype(np.float32)
    guide, light = rng.choice([0, 50, 100], (h, w)), rng.choice([0, 50, 100], (37, 41))
    out = upsampled(values, guide, light.astype(np.float32))
    rounding = 1e-4
    assert (out >= values.min(axis=(0, 1)) - rounding).all()
    assert (out <= values.max(axis=(0, 1)) + rounding).all()


def test_an_edge_of_the_light_is_an_edge_of_the_chroma() -> None:
    light = np.where(np.arange(64) < 29, 20, 80).astype(np.float32)[None].repeat(64, axis=0)
    truth = np.where(light == 20, -30, 40).astype(np.float32)
    cells = truth.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    guide = light.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    sharp = upsampled(cells[..., None], guide, light)[..., 0]
    smooth = upsampled(cells[..., None], np.zeros_like(guide), light)[..., 0]
    assert np.abs(sharp - truth).mean() < 0.4 * np.abs(smooth - truth).mean()


def test_a_flat_guide_is_bilinear() -> None:
    values, _, light = scene(4, 5, 33, 47)
    out = upsampled(values, np.full((4, 5), 50.0), np.full_like(light, 50))
    rows = ((np.arange(33) + 0.5) * 4 / 33 - 0.5).clip(0, 3)
    columns = ((np.arange(47) + 0.5) * 5 / 47 - 0.5).clip(0, 4)
    for channel in range(2):
        tall = np.stack([np.interp(rows, range(4), column) for column in values[..., channel].T])
        expected = np.stack([np.interp(columns, range(5), row) for row in tall.T])
        assert np.abs(out[..., channel] - expected).max() < 1e-4


def test_strips_and_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    values, guide, light = scene(7, 6, 50, 90)
    whole = upsampled(values, guide, light)
    upsampler = Upsampler(values, guide, 90, 6 / 90, 7 / 50)
    for rows in (1, 7, 16):
        strips = [upsampler.rows(top, light[top : top + rows]) for top in range(0, 50, rows)]
        assert np.array_equal(np.concatenate([np.stack(s, -1) for s in strips]), whole)
    monkeypatch.setattr(blocks, "BLOCK", 200)
    assert np.array_equal(upsampled(values, guide, light), whole)


@pytest.mark.parametrize(("top", "count"), [(0, 50), (13, 30), (49, 1)])
def test_bands_are_the_rows_between_two_rows_of_cells(top: int, count: int) -> None:
    values, guide, _ = scene(7, 6, 50, 90)
    bands = list(Upsampler(values, guide, 90, 6 / 90, 7 / 50).bands(top, count))
    assert [row for band in bands for row in range(band.first, band.last)] == list(range(count))
    for band in bands:
        for row, below in zip(range(band.first, band.last), band.below, strict=True):
            place = min(max((top + row + 0.5) * 7 / 50 - 0.5, 0), 6)
            assert (band.upper, band.lower) == (int(place), min(int(place) + 1, 6))
            assert below == pytest.approx(place - int(place), abs=1e-5)


def test_some_columns_and_channels_are_those_of_the_whole() -> None:
    values, guide, light = scene(7, 6, 50, 90, C=5)
    whole = upsampled(values, guide, light)
    upsampler = Upsampler(values, guide, 90, 6 / 90, 7 / 50)
    columns, channels = np.array([0, 7, 8, 44, 89]), (4, 1)
    for band in upsampler.bands(0, 50):
        rows = slice(band.first, band.last)
        part = light[rows][:, columns]
        planes = [np.empty_like(part) for _ in channels]
        upsampler.blend(band, part, planes, columns, channels)
        assert np.array_equal(np.stack(planes, -1), whole[rows][:, columns][..., channels])


def test_around_are_the_four_cells_that_a_pixel_is_a_mean_of() -> None:
    values, guide, _ = scene(4, 5, 32, 40)
    numbers = np.arange(20).reshape(4, 5)
    upsampler = Upsampler(values, guide, 40, 5 / 40, 4 / 32)
    for band in upsampler.bands(0, 32):
        four = upsampler.around(numbers, band)
        for x in range(40):
            left = int(min(max((x + 0.5) / 8 - 0.5, 0), 4))
            sides = (left, min(left + 1, 4))
            expected = [numbers[row, side] for row in (band.upper, band.lower) for side in sides]
            assert [cells[x] for cells in four] == expected
