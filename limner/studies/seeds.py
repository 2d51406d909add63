"""What several seeds say together: a mean and its interval, and a paired difference."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from limner.scores import Interval


def over_seeds(values: Sequence[float]) -> Interval:
    """The mean of one value a seed and its 95 % interval (Student 1908).

    A single value has no interval: its bounds are NaN.
    """
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The mean of ours - theirs, seed by seed, and its interval.

    The same seed means the same first weights and order, so that pairs are compared where both
    have as many seeds; else the first seeds of the longer one.
    """
    return over_seeds([a - b for a, b in zip(ours, theirs, strict=False)])


def unpaired(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """mean(ours) - mean(theirs) and its interval (Welch 1947), where seeds do not make pairs.

    The bounds are NaN with one seed of either.
    """
    value = float(np.mean(ours) - np.mean(theirs))
    if min(len(ours), len(theirs)) < 2:
        return Interval(value, float("nan"), float("nan"))
    a, b = (float(np.var(values, ddof=1)) / len(values) for values in (ours, theirs))
    if a + b == 0:  # all alike
        return Interval(value, value, value)
    freedom = (a + b) ** 2 / (a**2 / (len(ours) - 1) + b**2 / (len(theirs) - 1))
    half = float(t.ppf(0.975, freedom) * np.sqrt(a + b))
    return Interval(value, value - half, value + half)


def told(interval: Interval, digits: int = 3) -> str:
    """As a table shows it: "1.364 ± 0.012", without the interval if there is none."""
    if np.isnan(interval.low):
        return f"{interval.value:.{digits}f}"
    half = (interval.high - interval.low) / 2
    return f"{interval.value:.{digits}f} ± {half:.{digits}f}"


def apart(interval: Interval) -> bool:
    """Whether an interval of a difference excludes zero; one seed never does."""
    return bool(interval.low > 0 or interval.high < 0)
