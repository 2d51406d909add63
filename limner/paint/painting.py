"""A painting: a photograph and the chroma a model gave it, joined when they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.paint import show
from limner.paint.join import join, light_of
from limner.paint.strips import on_all_cores
from limner.paint.upsample import Upsampler
from limner.picture import Picture, Pixels, from_array, write_strips

Floats = NDArray[np.float32]

LONGEST_SHOWN = 2048  # pixels: the long side of the pictures that show certainty or compare


@dataclass(frozen=True, eq=False)
class Painting:
    """Lazy: holds the chroma per cell and where the photograph is, not the full picture.

    ab [h, w, 2]: chroma of the cells. guide [h, w]: their light (L*). cells_across, cells_down:
    how many cells the photograph measures (the last ones may reach beyond it).
    certainty_map [h, w]: how sure the model is, 0..1. colors_ignored: the photograph is in color.
    """

    picture: Picture
    ab: Floats
    guide: Floats
    cells_across: float
    cells_down: float
    certainty_map: Floats
    colors_ignored: bool

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height

    @property
    def certainty(self) -> float:
        """How sure the model is: the mean over the picture, 0..1."""
        return float(self.certainty_map.mean())

    @cached_property
    def array(self) -> Pixels:
        """The picture in color: uint8 [H, W, 3] sRGB."""
        return np.concatenate(list(self._strips(self.picture)))

    def save(
        self,
        path: Path | str,
        format: str | None = None,
        quality: int = 95,
        overwrite: bool = False,
    ) -> None:
        """Write the picture in color, strip by strip; memory does not grow with it.

        Arguments and errors: as of `picture.write_strips`. An error of the photograph itself (cut
        short) also comes here; nothing is left behind then.
        """
        strips = self._strips(self.picture)
        write_strips(path, self.width, self.height, strips, format, quality, overwrite)

    def certainty_picture(self) -> Pixels:
        """How sure the model is, place by place, with a legend: uint8 [h, w, 3]."""
        width, height = _bounded(self.width, self.height, LONGEST_SHOWN, LONGEST_SHOWN)
        flat = np.zeros_like(self.certainty_map)  # a flat guide: the map shows no edges of its own
        upsampler = self._upsampler(self.certainty_map[..., None], flat, width, height)
        (sure,) = upsampler.rows(0, np.zeros((height, width), np.float32))
        return show.with_legend(show.ramp(sure))

    def compare_picture(self) -> Pixels:
        """The photograph as it was beside the picture in color: uint8 [h, w, 3]."""
        width, height = _bounded(
            self.width, self.height, (LONGEST_SHOWN - show.GAP) // 2, LONGEST_SHOWN
        )
        before = self.picture.reduced(width, height)
        after = np.concatenate(list(self._strips(from_array(before))))
        return show.side_by_side(before, after)

    def _strips(self, picture: Picture) -> Iterator[Pixels]:
        """The rows of `picture` (ours, or ours reduced) in color."""
        upsampler = self._upsampler(self.ab, self.guide, picture.width, picture.height)

        def paint(top: int, strip: Pixels) -> Pixels:
            light = light_of(strip)
            a, b = upsampler.rows(top, light)
            return join(light, a, b)

        return on_all_cores(picture.strips(), paint)

    def _upsampler(self, values: Floats, guide: Floats, width: int, height: int) -> Upsampler:
        across, down = self.cells_across / width, self.cells_down / height
        return Upsampler(values, guide, width, across, down)


def _bounded(width: int, height: int, widest: int, highest: int) -> tuple[int, int]:
    scale = min(1.0, widest / width, highest / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
