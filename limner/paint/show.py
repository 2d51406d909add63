"""Pictures about a painting: how sure the model is, before and after."""

import numpy as np
from numpy.typing import NDArray

from limner.color import lab_to_rgb8
from limner.picture import Pixels

GAP = 8  # pixels of white between two pictures
LEGEND_WIDTH = 200
BAR_HEIGHT = 12
SCALE = 2  # pixels of a dot of the letters
LABELS = ("0 UNSURE", "0.5", "SURE 1")
# Letters of 3 x 5 dots: many machines have no font.
GLYPHS = {
    "0": ("###", "# #", "# #", "# #", "###"),
    "1": (" # ", "## ", " # ", " # ", "###"),
    "5": ("###", "#  ", "###", "  #", "###"),
    "E": ("###", "#  ", "## ", "#  ", "###"),
    "N": ("## ", "# #", "# #", "# #", "# #"),
    "R": ("## ", "# #", "## ", "# #", "# #"),
    "S": (" ##", "#  ", " # ", "  #", "## "),
    "U": ("# #", "# #", "# #", "# #", "###"),
    ".": (" ", " ", " ", " ", "#"),
    " ": (" ", " ", " ", " ", " "),
}


def ramp(sure: NDArray[np.float32]) -> Pixels:
    """0..1 -> sRGB [..., 3]: from dark blue (unsure) over green to light yellow (sure).

    Light rises evenly, so that it also reads in grey and without color vision.
    """
    light = 15 + 77 * sure
    turn = np.radians(290 - 195 * sure)  # hue, from blue through green to yellow
    chroma = 40 + 25 * sure
    return lab_to_rgb8(np.stack([light, chroma * np.cos(turn), chroma * np.sin(turn)], axis=-1))


def with_legend(picture: Pixels) -> Pixels:
    """The picture with a bar of the ramp below it, ticked 0, 0.5 and 1: uint8 [h, w, 3]."""
    height, width = picture.shape[:2]
    across = max(width, LEGEND_WIDTH)
    letters = 5 * SCALE
    canvas = np.full((height + GAP + BAR_HEIGHT + 3 * SCALE + letters, across, 3), 255, np.uint8)
    canvas[:height, :width] = picture
    bar = height + GAP
    canvas[bar : bar + BAR_HEIGHT] = ramp(np.linspace(0, 1, across, dtype=np.float32))
    below = bar + BAR_HEIGHT
    for position, label in zip((0.0, 0.5, 1.0), LABELS, strict=True):
        tick = round(position * (across - SCALE))
        canvas[below : below + SCALE, tick : tick + SCALE] = 0
        drawn = _text(label)
        left = min(max(0, tick - drawn.shape[1] // 2), across - drawn.shape[1])
        canvas[below + 2 * SCALE :, left : left + drawn.shape[1]][: len(drawn)] = drawn[..., None]
    return canvas


def side_by_side(before: Pixels, after: Pixels) -> Pixels:
    """Two pictures of one height with white between them: [h, w(, 3)] each -> [h, 2 w + gap, 3]."""
    if before.ndim == 2:
        before = np.repeat(before[..., None], 3, axis=-1)
    gap = np.full((len(before), GAP, 3), 255, np.uint8)
    return np.concatenate([before, gap, after], axis=1)


def _text(label: str) -> Pixels:
    """Black dots on white: uint8 [5 x SCALE, w]."""
    lines = [" ".join(GLYPHS[letter][row] for letter in label) for row in range(5)]
    dots = np.array([[0 if dot == "#" else 255 for dot in line] for line in lines], np.uint8)
    return dots.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
