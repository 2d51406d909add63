"""A segmentation: a photograph and the class that a model gave each of its pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.masks.labels import IGNORED
from limner.masks.png import Mask, write_mask
from limner.paint.join import light_of
from limner.paint.strips import on_all_cores
from limner.paint.upsample import Band, Upsampler
from limner.palette import Palette
from limner.picture import Picture, Pixels, write_strips
from limner.segment.overlay import legend, overlaid

Floats = NDArray[np.float32]

PARTS = 64  # of a mask, counted one after the other


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Lazy: holds what the model said of each cell and where the photograph is.

    labels: the classes, named. probabilities [h, w, K] and guide [h, w] (light, L*) stand on the
    cells; cells_across, cells_down: how many cells the photograph measures (the last ones may reach
    beyond it). certainty: how sure the model is, the mean over the cells, 0..1. own [h, w, K]: the
    model's own probabilities; unlike `probabilities`, with the class weights of its training
    undone.
    """

    picture: Picture
    labels: Palette
    probabilities: Floats
    guide: Floats
    cells_across: float
    cells_down: float
    certainty: float
    own: Floats

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height

    @cached_property
    def likeliest(self) -> Mask:
        """The class of each cell: uint8 [h, w], 0..K-1."""
        best: Mask = self.probabilities.argmax(axis=-1).astype(np.uint8)
        return best

    @cached_property
    def belief(self) -> Floats:
        """The model's own probability of each cell's likeliest class: [h, w]."""
        return np.take_along_axis(self.own, self.likeliest[..., None], axis=-1)[..., 0]

    @cached_property
    def mask(self) -> Mask:
        """The class of each pixel: uint8 [H, W], 0..K-1.

        Probabilities go up along the edges of the light, as colors do, and the largest wins.
        """
        upsampler = Upsampler(
            self.probabilities,
            self.guide,
            self.width,
            self.cells_across / self.width,
            self.cells_down / self.height,
        )

        def classify(top: int, strip: Pixels) -> Mask:
            return self._classify(upsampler, top, light_of(strip))

        return np.concatenate(list(on_all_cores(self.picture.strips(), classify)))

    def said(self, sure: Floats) -> Mask:
        """The mask, and 255 where the belief in the likeliest class of the cell is under what
        `sure` [K] asks of that class."""
        unsure = self.belief < sure[self.likeliest]
        rows = (np.arange(self.height) * (self.cells_down / self.height)).astype(np.intp)
        columns = (np.arange(self.width) * (self.cells_across / self.width)).astype(np.intp)
        return np.where(unsure[rows][:, columns], np.uint8(IGNORED), self.mask)

    @cached_property
    def classes(self) -> dict[str, float]:
        """The share of the pixels of every class that has any, the largest first."""
        K = len(self.labels)
        # In parts: counting makes eight bytes of each pixel.
        parts = np.array_split(self.mask.reshape(-1), PARTS)
        counts = np.sum([np.bincount(part, minlength=K) for part in parts], axis=0)
        order = np.argsort(-counts, kind="stable")
        return {self.labels.names[i]: float(counts[i] / self.mask.size) for i in order if counts[i]}

    def save_mask(self, path: Path | str, overwrite: bool = False) -> None:
        """Write the mask as an indexed PNG in the labels' colors. Raises PictureError."""
        write_mask(Path(path), self.mask, self.labels, overwrite)

    def save_overlay(self, path: Path | str, overwrite: bool = False) -> None:
        """Write the photograph with its classes in their colors and a legend below, strip by strip.

        Raises PictureError.
        """
        named = legend(self.labels, self.classes, self.width)
        strips = self._overlay(named)
        height = self.height + len(named)
        write_strips(path, named.shape[1], height, strips, "png", overwrite=overwrite)

    def _overlay(self, named: Pixels) -> Iterator[Pixels]:
        colors, top = self.labels.swatches(), 0
        margin = named.shape[1] - self.width  # a narrow picture under a wider legend
        for strip in self.picture.strips():
            rows = overlaid(strip, self.mask[top : top + len(strip)], colors)
            yield np.pad(rows, ((0, 0), (0, margin), (0, 0)), constant_values=255)
            top += len(strip)
        yield named

    def _classify(self, upsampler: Upsampler, top: int, light: Floats) -> Mask:
        """The classes of some rows, whose light is given: [r, W] -> uint8 [r, W]."""
        mask = np.empty(light.shape, np.uint8)
        for band in upsampler.bands(top, len(light)):
            rows = slice(band.first, band.last)
            first, *others = upsampler.around(self.likeliest, band)
            # Between four cells of one class every mean of them has that class.
            mixed = np.flatnonzero(np.any([other != first for other in others], axis=0))
            mask[rows] = first
            if mixed.size:
                mask[rows, mixed] = self._winners(upsampler, band, light[rows][:, mixed], mixed)
        return mask

    def _winners(
        self, upsampler: Upsampler, band: Band, light: Floats, columns: NDArray[np.intp]
    ) -> Mask:
        """The classes of a band at some columns: light [r, n] -> uint8 [r, n]."""
        K = len(self.labels)
        cells = self.probabilities[[band.upper, band.lower]]
        # The winner has at least 1 / K of a mean of four cells, so that one of them gives it that.
        channels = np.flatnonzero(cells.max(axis=(0, 1)) >= np.float32(0.999 / K)).tolist()
        planes = [np.empty_like(light) for _ in channels]
        upsampler.blend(band, light, planes, columns, channels)
        best, winners = planes[0], np.full(light.shape, channels[0], np.uint8)
        for channel, plane in zip(channels[1:], planes[1:], strict=True):
            winners[plane > best] = channel
            best = np.maximum(best, plane)
        return winners
