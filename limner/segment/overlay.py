"""A photograph under the colors of its classes, and their names below it."""

import math
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from limner.masks.png import Mask
from limner.palette import Palette
from limner.picture import Pixels

STRENGTH = 0.5  # of the classes' colors over the photograph
NARROWEST = 200  # pixels, of a legend
LETTERS = 14, 60  # smallest and largest height in pixels
SHARE = 60  # the letters' height is the picture's width over this


def overlaid(strip: Pixels, mask: Mask, colors: Pixels) -> Pixels:
    """Rows of a photograph [r, W(, 3)] under their classes' colors [K, 3]: uint8 [r, W, 3].

    Class 0 in black (a background) leaves the photograph as it is.
    """
    kept = np.full((len(colors), 1), 1 - STRENGTH, np.float32)
    if not colors[0].any():
        kept[0] = 1
    laid = STRENGTH * colors.astype(np.float32)
    rgb = np.repeat(strip[..., None], 3, axis=-1) if strip.ndim == 2 else strip
    return np.rint(rgb * kept[mask] + laid[mask]).astype(np.uint8)


def percent(share: float) -> str:
    """A share that is there, in whole percent: nothing that is there is said to be 0 %."""
    return f"{100 * share:.0f} %" if share > 0.005 else "< 1 %"


def legend(labels: Palette, shares: Mapping[str, float], width: int) -> Pixels:
    """The names of the classes that are there, with their colors and shares: uint8 [h, W', 3],
    W' being the width of the picture or, where that is too narrow, more."""
    size = min(max(max(width, NARROWEST) // SHARE, LETTERS[0]), LETTERS[1])
    font = ImageFont.load_default(size)
    colors = dict(zip(labels.names, labels.swatches().tolist(), strict=True))
    gap, line = size // 2, 2 * size
    entries = [(colors[name], f"{name} {percent(share)}") for name, share in shares.items()]
    needed = [size + gap + math.ceil(font.getlength(text)) for _, text in entries]
    across = max(width, NARROWEST, 2 * gap + max(needed))
    places, x, y = [], gap, gap
    for taken in needed:
        if x > gap and x + taken + gap > across:
            x, y = gap, y + line
        places.append((x, y))
        x += taken + 2 * gap
    canvas = Image.new("RGB", (across, y + line), "white")
    draw = ImageDraw.Draw(canvas)
    for (color, text), (x, y) in zip(entries, places, strict=True):
        draw.rectangle((x, y, x + size - 1, y + size - 1), tuple(color), outline="black")
        draw.text((x + size + gap, y + size // 2), text, "black", font, anchor="lm")
    return np.asarray(canvas)
