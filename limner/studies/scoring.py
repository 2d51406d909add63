"""How good a network's classes and colors are on small pictures, and where it errs.

All pictures are of one size and the network says one class a pixel (stride 1), as the write-up's
do, so that a set is a few arrays.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner import scores
from limner.color import de2000, rgb8_to_lab
from limner.paint.decode import decode
from limner.paint.join import join, light_of
from limner.palette import Palette

Floats = NDArray[np.float32]

ALIKE = 10.0  # levels of 255: classes whose channel means are that near are of like brightness
BORDER = 4  # pixels from the picture's edge: where zero padding tells most


@dataclass(frozen=True)
class Truth:
    """Pictures uint8 [N, H, W, 3] and what they are in a palette."""

    rgb: NDArray[np.uint8]
    palette: Palette

    @cached_property
    def lab(self) -> Floats:
        """CIELAB [N, H, W, 3]."""
        return rgb8_to_lab(self.rgb)

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """The nearest class of each pixel [N, H, W]."""
        values = self.lab[..., 1:] if self.palette.space == "ab" else self.rgb
        return self.palette.classes(values)

    @cached_property
    def grey(self) -> NDArray[np.uint8]:
        """The mean of the channels, rounded: [N, H, W], 0..255."""
        grey: NDArray[np.uint8] = np.rint(self.rgb.mean(axis=-1, dtype=np.float32)).astype(np.uint8)
        return grey

    @cached_property
    def edges(self) -> NDArray[np.bool_]:
        """Pixels within one pixel of a color edge: [N, H, W]."""
        return scores.near_edges(self.lab[..., 1:], 1)

    @cached_property
    def border(self) -> NDArray[np.bool_]:
        """Pixels within BORDER of the picture's edge: [N, H, W]."""
        border = np.ones(self.rgb.shape[:3], np.bool_)
        border[:, BORDER:-BORDER, BORDER:-BORDER] = False
        return border


def score(logits: Floats, truth: Truth) -> dict[str, float]:
    """The scores of logits [K, N, H, W], means over all pixels.

    loss: cross-entropy, nats. accuracy, and its part among classes of like brightness (RGB
    palettes): the argmax among the classes whose channel mean is within 10 levels of the true
    one's. ab_error and de2000: of the expected color, joined with the original light as `limner
    colorize` joins; ab_error also within one pixel of color edges. loss and accuracy also within 4
    pixels of the pictures' edges. colors: classes that are ever the likeliest.
    """
    likeliest = logits.argmax(axis=0)
    right = likeliest == truth.classes
    own = np.take_along_axis(scores.log_probabilities(logits), truth.classes[None], axis=0)[0]
    painted = paint(logits, truth)
    lab = rgb8_to_lab(painted)
    error = scores.ab_error(lab[..., 1:], truth.lab[..., 1:])
    values = {
        "loss": -own.mean(dtype=np.float64),
        "accuracy": right.mean(),
        "ab_error": error.mean(dtype=np.float64),
        "de2000": de2000(lab, truth.lab).mean(dtype=np.float64),
        "ab_error_edges": error[truth.edges].mean(dtype=np.float64),
        "loss_border": -own[truth.border].mean(dtype=np.float64),
        "accuracy_border": right[truth.border].mean(),
        "loss_inside": -own[~truth.border].mean(dtype=np.float64),
        "accuracy_inside": right[~truth.border].mean(),
        "colors": len(np.unique(likeliest)),
    }
    if truth.palette.space == "rgb":
        values["accuracy_alike"] = accuracy_alike(logits, truth)
    return {name: float(value) + 0.0 for name, value in values.items()}  # no loss of -0


def paint(logits: Floats, truth: Truth) -> NDArray[np.uint8]:
    """The expected colors of logits [K, N, H, W] on the pictures' own light: uint8 [N, H, W, 3]."""
    N, H, W = truth.classes.shape
    ab = decode(logits.reshape(len(logits), N * H, W), truth.palette)
    light = light_of(truth.rgb.reshape(N * H, W, 3))
    return join(light, ab[..., 0], ab[..., 1]).reshape(N, H, W, 3)


def accuracy_alike(logits: Floats, truth: Truth) -> float:
    """Share of pixels whose class is the likeliest among those of the same brightness: 0..1."""
    brightness = truth.palette.colors.mean(axis=1)
    alike = np.abs(brightness[:, None] - brightness) <= ALIKE  # [K, K]
    right = 0
    for one in np.unique(truth.classes):
        here = truth.classes == one
        rivals = np.flatnonzero(alike[one])
        right += int((rivals[logits[rivals][:, here].argmax(axis=0)] == one).sum())
    return right / truth.classes.size


def by_class(logits: Floats, truth: Truth) -> dict[str, list[float]]:
    """What becomes of each class, lists of K: `true` and `predicted` share of the pixels, `recall`
    (0 where the class never occurs), and the mean `grey` (0..255) of the pixels predicted as it
    (0 where there are none)."""
    K = len(truth.palette)
    likeliest = logits.argmax(axis=0).ravel()
    classes = truth.classes.ravel()
    count = np.bincount(classes, minlength=K)
    predicted = np.bincount(likeliest, minlength=K)
    right = np.bincount(classes[likeliest == classes], minlength=K)
    grey = np.bincount(likeliest, truth.grey.ravel().astype(np.float64), K)
    table: dict[str, Any] = {
        "true": count / len(classes),
        "predicted": predicted / len(classes),
        "recall": right / np.maximum(count, 1),
        "grey": grey / np.maximum(predicted, 1),
    }
    return {name: np.round(column, 5).tolist() for name, column in table.items()}
