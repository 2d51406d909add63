"""Scores of masks, from one confusion matrix a picture: never a mean of the pictures' IoUs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner import scores
from limner.palette import Palette
from limner.scores import Interval

Tables = NDArray[np.int64]

COVERED = 30  # pictures of the split that hold a class, for mean_iou_covered
SEED = 0
RESAMPLES = 1000


def holding(tables: Tables) -> NDArray[np.int64]:
    """How many pictures have a true pixel of each class: [n, K, K] -> [K]."""
    return np.asarray((tables.sum(axis=2) > 0).sum(axis=0), np.int64)


def score(tables: Tables, labels: Palette) -> dict[str, Any]:
    """A row's scores from one confusion matrix a picture [n, K, K]."""
    holds = holding(tables)
    drawn = scores.resampled(tables, SEED, RESAMPLES)
    whole = tables.sum(axis=0)
    there, covered = holds > 0, holds >= COVERED
    ious, their = scores.iou(whole), scores.iou(drawn)
    return {
        "pixel_accuracy": _interval(scores.pixel_accuracy(whole), scores.pixel_accuracy(drawn)),
        "mean_iou": _interval(ious[there].mean(), _mean(their[:, there])),
        "mean_iou_covered": _interval(ious[covered].mean(), _mean(their[:, covered]))
        if covered.any()
        else None,
        "iou": {
            name: _interval(ious[index], their[:, index])
            for index, name in enumerate(labels.names)
            if there[index]
        },
    }


def _mean(ious: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Means over the classes that a resample has: [R, n] -> [R], NaN where it has none."""
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.floating[Any]] = np.nansum(ious, axis=1) / (~np.isnan(ious)).sum(axis=1)
    return mean


def _interval(value: Any, drawn: NDArray[np.floating[Any]]) -> dict[str, float]:
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Interval(float(value), float(low), float(high))._asdict()
