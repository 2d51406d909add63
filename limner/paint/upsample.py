"""From a coarse grid of cells to full pixels, along the edges of the light."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# L* units. How it was chosen: docs/upsampling.md.
SIGMA = 6.0
# exp(80) and a few of them times a chroma stay finite in float32. Weights above exp(80) times the
# first cell's count as equal, which needs a light some 12 sigma away from that cell.
LARGEST_EXPONENT = np.float32(80)
BLOCK = 1 << 14  # pixels: about ten planes of float32 fit a core's second cache


@dataclass(frozen=True)
class _Corner:
    """A cell's weight over the first cell's, for every column: exp(slope x light + level)."""

    lower: bool
    slope: Floats  # [W]
    level: Floats  # [W]
    differences: list[Floats]  # [W] for each channel: the cell's value less the first cell's


class Upsampler:
    """Joint bilateral upsampling (Kopf et al. 2007) in a window of 2 x 2 cells.

    Each pixel is a mean of the four cells around it, weighed by nearness (bilinear) times a
    Gaussian of the difference between the pixel's light and the cell's: no value leaves the range
    of the four, and equal cells give exactly their value.
    """

    def __init__(
        self,
        values: Floats,
        guide: Floats,
        width: int,
        across: float,
        down: float,
        sigma: float = SIGMA,
    ) -> None:
        """values [h, w, C] and guide [h, w] (L*) stand on cells.

        width: of the full picture, in pixels. across, down: how many cells (at most 1) a pixel of
        the full picture measures. sigma: of the Gaussian, in L* units.
        """
        self._values = np.ascontiguousarray(np.moveaxis(values, -1, 0), np.float32)
        self._guide = np.ascontiguousarray(guide, np.float32)
        self._sharpness = np.float32(1 / sigma**2)
        self._down = down
        rows, columns = guide.shape
        self._last = rows - 1
        self._left, beside = _neighbors(0, width, across, columns)
        self._right = np.minimum(self._left + 1, columns - 1)
        self._odds = _log_odds(beside)

    def rows(self, top: int, light: Floats) -> list[Floats]:
        """Rows top, top + 1, ... of the full picture: light (L*) [r, W] -> C planes [r, W]."""
        planes = [np.empty_like(light) for _ in self._values]
        upper, below = _neighbors(top, len(light), self._down, self._last + 1)
        odds = _log_odds(below)[:, None]
        step = max(1, BLOCK // light.shape[1])
        for first, last in _runs(upper):
            base, corners = self._corners(int(upper[first]))
            for start in range(first, last, step):
                part = slice(start, min(start + step, last))
                _blend(base, corners, odds[part], light[part], [plane[part] for plane in planes])
        return planes

    def _corners(self, upper: int) -> tuple[list[Floats], list[_Corner]]:
        """The upper left cells' values, and the other three cells seen from them."""
        lower = min(upper + 1, self._last)
        guide = self._guide[upper].take(self._left)
        base = [plane[upper].take(self._left) for plane in self._values]
        corners: list[_Corner] = []
        for row, columns in ((upper, self._right), (lower, self._left), (lower, self._right)):
            other = self._guide[row].take(columns)
            # In the ratio of two Gaussians of the light its square cancels.
            slope = self._sharpness * (other - guide)
            level = slope * (other + guide) / -2
            if columns is self._right:
                level += self._odds
            values = [plane[row].take(columns) for plane in self._values]
            differences = [value - first for value, first in zip(values, base, strict=True)]
            corners.append(_Corner(len(corners) > 0, slope, level, differences))
        return base, corners


def _blend(
    base: list[Floats], corners: list[_Corner], odds: Floats, light: Floats, out: list[Floats]
) -> None:
    """The weighed mean of the four cells; odds [r, 1]: log of the lower row's weight over the
    upper one's."""
    weights = []
    total = np.ones_like(light)
    for corner in corners:
        weight = light * corner.slope
        weight += corner.level
        if corner.lower:
            weight += odds
        np.minimum(weight, LARGEST_EXPONENT, out=weight)
        np.exp(weight, out=weight)
        total += weight
        weights.append(weight)
    product = np.empty_like(light)
    for channel, (plane, first) in enumerate(zip(out, base, strict=True)):
        np.multiply(weights[0], corners[0].differences[channel], out=plane)
        for weight, corner in zip(weights[1:], corners[1:], strict=True):
            np.multiply(weight, corner.differences[channel], out=product)
            plane += product
        plane /= total
        plane += first


def _neighbors(first: int, count: int, scale: float, cells: int) -> tuple[NDArray[np.intp], Floats]:
    """For pixels first, first + 1, ...: the cell before the pixel's center and how far (0..1) the
    center is on the way to the next one; at the borders, the border's cell alone."""
    place = ((np.arange(first, first + count) + 0.5) * scale - 0.5).clip(0, cells - 1)
    before = place.astype(np.intp)
    return before, (place - before).astype(np.float32)


def _log_odds(share: Floats) -> Floats:
    """log(share / (1 - share)); -inf for 0: a cell without weight."""
    with np.errstate(divide="ignore"):
        odds: Floats = np.log(share / (1 - share))
    return odds


def _runs(values: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch of equal neighbors."""
    edges = np.flatnonzero(np.diff(values)) + 1
    yield from pairwise([0, *edges.tolist(), len(values)])
