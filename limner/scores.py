"""How good colors and classes are: small functions of arrays, and an interval over pictures.

`ab` are the last two channels of CIELAB; `logits` and `classes` belong to the same grid. A
confusion matrix counts pixels: rows are the true class, columns the class that was said.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

AUC_LIMIT = 150.0
PSNR_LIMIT = 60.0
EDGE = 3.0  # ab units a pixel
DRAWS = 1 << 20  # pictures drawn at once: 8 MB


class Interval(NamedTuple):
    """A mean and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def ab_error(ab: Floats, truth: Floats) -> Floats:
    """Distance in the ab plane, [..., 2] and [..., 2] -> [...], 0 and up."""
    error: Floats = np.hypot(ab[..., 0] - truth[..., 0], ab[..., 1] - truth[..., 1])
    return error


def near_edges(ab: Floats, reach: int) -> NDArray[np.bool_]:
    """Pixels within `reach` pixels of a color edge: ab [..., H, W, 2] -> bool [..., H, W].

    An edge is a pixel whose Sobel gradient of ab, divided by 8 (ab units a pixel), exceeds 3.
    """
    before = [(0, 0)] * (ab.ndim - 3)
    p = np.pad(ab, [*before, (1, 1), (1, 1), (0, 0)], mode="edge")
    across = p[..., 2:, :] - p[..., :-2, :]
    down = p[..., 2:, :, :] - p[..., :-2, :, :]
    gx = (across[..., :-2, :, :] + 2 * across[..., 1:-1, :, :] + across[..., 2:, :, :]) / 8
    gy = (down[..., :-2, :] + 2 * down[..., 1:-1, :] + down[..., 2:, :]) / 8
    edge: NDArray[np.bool_] = np.sqrt((gx**2 + gy**2).sum(axis=-1)) > EDGE
    height, width = edge.shape[-2:]
    padded = np.pad(edge, [*before, (reach, reach), (reach, reach)])
    near = np.zeros_like(edge)
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            if x * x + y * y <= reach * reach:
                near |= padded[..., reach + y :, reach + x :][..., :height, :width]
    return near


def auc(ab_error: Floats) -> float:
    """1 - E[min(error, 150)] / 150 of ab errors of any shape: 0..1, 1 is perfect.

    It is the area under the curve of the share of pixels within a distance of 0..150 (Zhang,
    Isola, Efros 2016), without the steps of a sum.
    """
    return float(1 - np.minimum(ab_error, AUC_LIMIT).mean(dtype=np.float64) / AUC_LIMIT)


def psnr(picture: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of 8-bit pictures in dB, at most 60 (equal pictures too)."""
    difference = picture.astype(np.float32) - truth
    square = float(np.square(difference).mean(dtype=np.float64))
    floor = 255**2 / 10 ** (PSNR_LIMIT / 10)
    return float(10 * np.log10(255**2 / max(square, floor)))


def light_error(light: Floats, truth: Floats) -> float:
    """Mean |dL| of two L* of any shape: 0..100."""
    return float(np.abs(light - truth).mean(dtype=np.float64))


def log_probabilities(logits: Floats) -> Floats:
    """Logits [K, ...] -> the logarithms of their softmax over the first axis."""
    shifted = logits - logits.max(axis=0)
    logarithms: Floats = shifted - np.log(np.exp(shifted).sum(axis=0))
    return logarithms


def cross_entropy(logits: Floats, classes: NDArray[np.int64]) -> float:
    """Mean of -log P(class) in nats a pixel: logits [K, ...] and classes [...]."""
    own = np.take_along_axis(log_probabilities(logits), classes[None], axis=0)
    return float(-own.mean(dtype=np.float64))


def accuracy(logits: Floats, classes: NDArray[np.int64]) -> float:
    """Share of pixels whose class has the largest logit: logits [K, ...] and classes [...]."""
    return float((logits.argmax(axis=0) == classes).mean())


def confusion(truth: NDArray[np.uint8], said: NDArray[np.uint8], K: int) -> NDArray[np.int64]:
    """The confusion matrix [K, K] of two masks of one shape; true pixels of K or above are left
    out (255: ignored)."""
    known = truth < K
    pairs = K * truth[known].astype(np.int64) + said[known]
    return np.bincount(pairs, minlength=K * K).reshape(K, K)


def pixel_accuracy(tables: NDArray[np.int64]) -> Floats:
    """Share of the pixels whose class was said: tables [..., K, K] -> [...], NaN of none."""
    with np.errstate(invalid="ignore"):
        share: Floats = np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1))
    return share


def iou(tables: NDArray[np.int64]) -> Floats:
    """Intersection over union of each class (Jaccard 1912): tables [..., K, K] -> [..., K].

    NaN for a class that no true pixel has (whatever was said), so that nanmean leaves it out.
    """
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    true = tables.sum(axis=-1)
    union = true + tables.sum(axis=-2) - right
    ratio: Floats = right / np.maximum(union, 1)
    return np.where(true > 0, ratio, np.nan)


def resampled(tables: NDArray[np.int64], seed: int = 0, resamples: int = 1000) -> NDArray[np.int64]:
    """Sums of confusion matrices over pictures drawn with replacement (Efron 1979): one table a
    picture [n, K, K] -> [resamples, K, K]."""
    n, K, _ = tables.shape
    random = np.random.default_rng(seed)
    times = random.multinomial(n, np.full(n, 1 / n), size=resamples)
    sums: NDArray[np.int64] = (times @ tables.reshape(n, K * K)).reshape(resamples, K, K)
    return sums


def bootstrap_interval(values: Floats, seed: int = 0, resamples: int = 1000) -> Interval:
    """The mean of one value a picture [n] and its 95 % percentile interval (Efron 1979).

    The same seed draws the same pictures, so that rows of a table are resampled alike.
    """
    random = np.random.default_rng(seed)
    n = len(values)
    together = max(1, DRAWS // n)
    means = [
        values[random.integers(n, size=(min(together, resamples - start), n))].mean(axis=1)
        for start in range(0, resamples, together)
    ]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return Interval(float(np.mean(values)), float(low), float(high))
