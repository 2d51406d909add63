"""What a model says, made into one color per cell, and how sure it is of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from limner.color import rgb_to_lab
from limner.palette import Palette

Floats = NDArray[np.float32]


def decode(
    logits: Floats,
    palette: Palette,
    class_weights: Sequence[float] | None = None,
    temperature: float = 1.0,
    chroma: float = 1.0,
) -> Floats:
    """The expected color of each cell: logits [K, h, w] -> ab float32 [h, w, 2].

    `class_weights` (K positive numbers) are those that training used; they are undone. The
    temperature sharpens (< 1) or flattens (> 1) the distribution, whose mean color is taken
    (the annealed mean of Zhang, Isola, Efros 2016, section 2.3).
    An RGB palette's mean color is taken in RGB; its ab is that of this color. A mean is duller than
    what it is a mean of: `chroma` is the factor that makes up for it.
    """
    probabilities, _ = _distribution(logits, class_weights, temperature)
    color = palette.expected(probabilities.T).reshape(*logits.shape[1:], -1)
    return np.ascontiguousarray(_ab(palette, color) * np.float32(chroma), np.float32)


def certainty(logits: Floats, class_weights: Sequence[float] | None = None) -> Floats:
    """How sure the model is: logits [K, h, w] -> [h, w] in 0..1, 1 - entropy / log K.

    The distribution is the model's own: class weights undone, temperature 1. 0 where all classes
    are equally probable, 1 where one is certain (and where there is only one).
    """
    K = len(logits)
    if K == 1:
        return np.ones(logits.shape[1:], np.float32)
    probabilities, logs = _distribution(logits, class_weights, 1.0)
    # 0 log 0 = 0: a probability that vanished has a finite log here, from the shifted logits.
    entropy = -np.einsum("kn,kn->n", probabilities, logs)
    sure: Floats = (1 - entropy / np.float32(np.log(K))).clip(0, 1)
    return sure.reshape(logits.shape[1:])


def undo_weights(logits: Floats, class_weights: Sequence[float] | None) -> Floats:
    """The model's own logits: [K, ...] less the logs of the class weights of its training.

    Weighted cross-entropy is least where the softmax is proportional to w p.
    """
    if class_weights is None:
        return logits
    logs = np.log(np.asarray(class_weights, np.float32))
    return logits - logs.reshape(-1, *[1] * (logits.ndim - 1))


def class_ab(palette: Palette) -> Floats:
    """The ab of every class: [K, 2]."""
    return _ab(palette, palette.colors)


def _ab(palette: Palette, color: Floats) -> Floats:
    """Colors in the palette's space [..., D] -> ab [..., 2]."""
    return rgb_to_lab(color / np.float32(255))[..., 1:] if palette.space == "rgb" else color


def _distribution(
    logits: Floats, class_weights: Sequence[float] | None, temperature: float
) -> tuple[Floats, Floats]:
    """Probabilities and their logs: [K, h, w] -> [K, h w] each."""
    logs = undo_weights(logits, class_weights).reshape(len(logits), -1).astype(np.float32)
    logs /= np.float32(temperature)
    logs -= logs.max(axis=0)
    probabilities = np.exp(logs)
    total = probabilities.sum(axis=0)
    probabilities /= total
    logs -= np.log(total)
    return probabilities, logs
