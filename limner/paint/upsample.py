"""From a coarse grid of cells to full pixels, along the edges of the light."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner.paint.blocks import block_rows

Floats = NDArray[np.float32]

# L* units: a cell whose light is that far from the pixel's has half the weight.
# How the kernel and its width were chosen: docs/upsampling.md.
REACH = 4.0


@dataclass(frozen=True)
class _Corner:
    """One of the four cells around each pixel between two rows of cells, by column."""

    near: Floats  # [W]: bilinear weight across
    light: Floats  # [W]: of the cell, L* over REACH
    differences: list[Floats]  # [W] for each channel: its value less the first corner's


@dataclass(frozen=True)
class Band:
    """Rows first..last-1 of a strip that lie between the cells' rows `upper` and `lower`.

    below [last - first]: how near each is to the lower one, 0..1.
    """

    first: int
    last: int
    upper: int
    lower: int
    below: Floats


class Upsampler:
    """Joint bilateral upsampling (Kopf et al. 2007) in a window of 2 x 2 cells.

    Each pixel is a mean of the four cells around it. A cell's weight is its nearness (bilinear)
    times 1 / (1 + (d / REACH)^2), d being the difference between the pixel's light and the cell's.
    So no value leaves the range of the four, and equal cells give exactly their value.
    """

    def __init__(
        self,
        values: Floats,
        guide: Floats,
        width: int,
        across: float,
        down: float,
        reach: float = REACH,
    ) -> None:
        """values [h, w, C] and guide [h, w] (L*) stand on cells.

        width: of the full picture, in pixels. across, down: how many cells (at most 1) a pixel of
        the full picture measures. reach: of the kernel, in L* units.
        """
        self._values = np.ascontiguousarray(np.moveaxis(values, -1, 0), np.float32)
        self._scale = np.float32(1 / reach)
        self._guide = np.asarray(guide, np.float32) * self._scale
        self._down = down
        rows, columns = guide.shape
        self._last = rows - 1
        self._left, self._beside = _neighbors(0, width, across, columns)
        self._right = np.minimum(self._left + 1, columns - 1)

    def rows(self, top: int, light: Floats) -> list[Floats]:
        """Rows top, top + 1, ... of the full picture: light (L*) [r, W] -> C planes [r, W]."""
        planes = [np.empty_like(light) for _ in self._values]
        for band in self.bands(top, len(light)):
            part = slice(band.first, band.last)
            self.blend(band, light[part], [plane[part] for plane in planes])
        return planes

    def bands(self, top: int, count: int) -> Iterator[Band]:
        """The rows top, top + 1, ... in stretches that lie between the same two rows of cells."""
        upper, below = _neighbors(top, count, self._down, self._last + 1)
        for first, last in _runs(upper):
            row = int(upper[first])
            yield Band(first, last, row, min(row + 1, self._last), below[first:last])

    def blend(
        self,
        band: Band,
        light: Floats,
        planes: Sequence[Floats],
        columns: NDArray[np.intp] | None = None,
        channels: Sequence[int] | None = None,
    ) -> None:
        """Fill planes [r, n] with a band's values, one plane for each of `channels` (all), at
        `columns` [n] (all) of the picture, whose light (L*) is given there: [r, n]."""
        chosen = range(len(self._values)) if channels is None else channels
        base, corners = self._corners(band, columns, chosen)
        step = block_rows(light.shape[1])
        for start in range(0, len(light), step):
            part = slice(start, start + step)
            total, weights = self._weights(corners, band.below[part, None], light[part])
            for place, plane in enumerate(planes):
                differences = [corner.differences[place] for corner in corners[1:]]
                _mean(base[place], differences, total, weights, plane[part])

    def around(self, values: NDArray[Any], band: Band) -> list[NDArray[Any]]:
        """What the four cells around each column of a band hold of `values` [h, w]: [W] each."""
        rows = (band.upper, band.lower)
        return [values[row].take(side) for row in rows for side in (self._left, self._right)]

    def _corners(
        self, band: Band, columns: NDArray[np.intp] | None, channels: Sequence[int]
    ) -> tuple[list[Floats], list[_Corner]]:
        """The first corner's values [n] by channel, and the four corners: two above, two below."""
        left, right, beside = self._left, self._right, self._beside
        if columns is not None:
            left, right, beside = left[columns], right[columns], beside[columns]
        planes = [self._values[channel] for channel in channels]
        base = [plane[band.upper].take(left) for plane in planes]
        corners = []
        for row in (band.upper, band.lower):
            for cells, near in ((left, 1 - beside), (right, beside)):
                values = [plane[row].take(cells) for plane in planes]
                differences = [value - first for value, first in zip(values, base, strict=True)]
                corners.append(_Corner(near, self._guide[row].take(cells), differences))
        return base, corners

    def _weights(
        self, corners: list[_Corner], below: Floats, light: Floats
    ) -> tuple[Floats, list[Floats]]:
        """The sum of the four corners' weights, and the last three; below [r, 1]: how near the
        lower two are."""
        scaled = light * self._scale
        weights = []
        for index, corner in enumerate(corners):
            weight = scaled - corner.light
            weight *= weight
            weight += 1
            np.divide(corner.near, weight, out=weight)
            weight *= 1 - below if index < 2 else below
            weights.append(weight)
        total, *others = weights
        for weight in others:
            total += weight
        return total, others


def _mean(
    base: Floats, differences: list[Floats], total: Floats, weights: list[Floats], out: Floats
) -> None:
    """base + the weighed sum of differences: the weighed mean, and exactly base where all agree."""
    np.multiply(weights[0], differences[0], out=out)
    product = np.empty_like(out)
    for weight, difference in zip(weights[1:], differences[1:], strict=True):
        np.multiply(weight, difference, out=product)
        out += product
    out /= total
    out += base


def _neighbors(first: int, count: int, scale: float, cells: int) -> tuple[NDArray[np.intp], Floats]:
    """For pixels first, first + 1, ...: the cell before the pixel's center and how far (0..1) the
    center is on the way to the next one; at the borders, the border's cell alone."""
    place = ((np.arange(first, first + count) + 0.5) * scale - 0.5).clip(0, cells - 1)
    before = place.astype(np.intp)
    return before, (place - before).astype(np.float32)


def _runs(values: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch of equal neighbors."""
    edges = np.flatnonzero(np.diff(values)) + 1
    yield from pairwise([0, *edges.tolist(), len(values)])
