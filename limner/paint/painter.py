"""The painter: a photograph in, a painting out. Never imports torch."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limner.card import Card, Device, Model
from limner.color import rgb8_to_lab
from limner.errors import LimnerError, ModelError
from limner.paint.cells import cell_means
from limner.paint.decode import certainty, decode
from limner.paint.join import light_of
from limner.paint.painting import Painting
from limner.paint.view import logits_of, view_size
from limner.picture import PIXEL_LIMIT, Picture, Pixels, from_array, open_picture
from limner.weights import path as model_path

__all__ = ["Painter", "Painting"]

Floats = NDArray[np.float32]

SMALLEST_SIZE = 32
# A tint is one color for each light (sepia fades with the light). Colors that stray from it by
# more than this (root mean square, ab units) are a color photograph's.
TINT_SPREAD = 4.0
TINT_LIGHTS = 20


class Painter:
    """Paints with one model; loading it is the slow part, so keep the painter.

    model: the name of an embedded model, a model file, or a loaded Model.
    size: short side, in pixels, of what the network sees (None: the model's own).
    temperature: > 0; sharpens (< 1) or flattens (> 1) the distribution (None: the model's own).
    saturation: the factor on the model's chroma, 0 (grey) to 2.
    device: "auto", "cpu" or "cuda". max_pixels: larger pictures are refused.
    Raises ModelError for a model that cannot be loaded, LimnerError for a setting out of range.
    """

    def __init__(
        self,
        model: str | Path | Model = "photo",
        *,
        size: int | None = None,
        temperature: float | None = None,
        saturation: float = 1.0,
        device: Device = "auto",
        max_pixels: int = PIXEL_LIMIT,
    ) -> None:
        _check_settings(size, temperature, saturation)
        self.model = Model(model_path(model), device) if isinstance(model, str | Path) else model
        card = self.model.card
        if card.task != "colorize":
            raise ModelError(f"{card.name}: a model to {card.task}; give one that colorizes")
        self.size = card.working_size if size is None else size
        self.temperature = card.temperature if temperature is None else temperature
        self.saturation = saturation
        self.max_pixels = max_pixels

    def colorize(self, photo: Path | str | Pixels) -> Painting:
        """Paint one photograph: a path, or uint8 [H, W] or [H, W, 3] (whose colors are ignored).

        The network runs now; the full picture is made when the painting is saved or asked for.
        Raises PictureError.
        """
        if isinstance(photo, str | Path):
            picture = open_picture(photo, self.max_pixels)
        else:
            picture = from_array(photo)
        return self._paint(picture)

    def _paint(self, picture: Picture) -> Painting:
        card = self.model.card
        width, height = view_size(picture.width, picture.height, self.size, card.multiple)
        view = picture.reduced(width, height)
        light = light_of(view)
        logits = logits_of(self.model, network_input(view, light, card)[None])
        ab = decode(logits, card.palette, card.class_weights, self.temperature, card.chroma)
        return Painting(
            picture=picture,
            ab=ab * np.float32(self.saturation),
            guide=cell_means(light, card.stride),
            cells_across=width / card.stride,
            cells_down=height / card.stride,
            certainty_map=certainty(logits, card.class_weights),
            colors_ignored=view.ndim == 3 and beyond_tint(view),
        )


def beyond_tint(rgb: Pixels) -> bool:
    """Whether a picture's colors are more than a tint (one color for each light)."""
    lab = rgb8_to_lab(rgb).reshape(-1, 3)
    group = (lab[:, 0] * (TINT_LIGHTS / 100)).astype(np.intp).clip(0, TINT_LIGHTS - 1)
    counts = np.bincount(group, minlength=TINT_LIGHTS)
    variance = 0.0
    for channel in (lab[:, 1], lab[:, 2]):
        means = np.bincount(group, channel, TINT_LIGHTS) / np.maximum(counts, 1)
        variance += float(((channel - means[group]) ** 2).mean())
    return math.sqrt(variance) > TINT_SPREAD


def network_input(view: Pixels, light: Floats, card: Card) -> Floats:
    """What a model sees of a view [H, W(, 3)] with the light [H, W]: 0..1, as its card says.

    L* / 100, or for RGB palettes the mean of the channels / 255.
    """
    if card.input == "light":
        return light / np.float32(100)
    grey = view if view.ndim == 2 else view.mean(axis=-1, dtype=np.float32)
    seen: Floats = grey.astype(np.float32) / np.float32(255)
    return seen


def _check_settings(size: int | None, temperature: float | None, saturation: float) -> None:
    if size is not None and (isinstance(size, bool) or size != int(size) or size < SMALLEST_SIZE):
        raise LimnerError(
            f"size {size}: out of range; give a whole number of pixels, {SMALLEST_SIZE} or more"
        )
    if temperature is not None and not (math.isfinite(temperature) and temperature > 0):
        raise LimnerError(f"temperature {temperature}: out of range; give a number above 0")
    if not 0 <= saturation <= 2:  # NaN fails too
        raise LimnerError(f"saturation {saturation}: out of range; give a number from 0 to 2")
