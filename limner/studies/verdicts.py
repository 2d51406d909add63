"""What an interval of a difference allows to be said, in words."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from limner.scores import Interval
from limner.studies.seeds import apart, over_seeds, told
from limner.studies.study import QUICK_EPOCHS, QUICK_PICTURES, Setting

Sign = Literal["one", "none", "above", "below"]


def sign(interval: Interval) -> Sign:
    """ "above" or "below" zero if the interval excludes it, "none" if not; "one": a single seed,
    which has no interval and is no finding."""
    if np.isnan(interval.low):
        return "one"
    if not apart(interval):
        return "none"
    return "above" if interval.value > 0 else "below"


def weighed(
    interval: Interval, above: str = "worse", below: str = "better", digits: int = 3
) -> str:
    """A difference and what it says: "+0.012 ± 0.030, not told apart"."""
    words = {"one": "one seed, no finding", "none": "not told apart", "above": above}
    mark = "+" if interval.value >= 0 else ""
    return f"{mark}{told(interval, digits)} ({words.get(sign(interval), below)})"


def seeds(count: int) -> str:
    """ "5 seeds", "1 seed"."""
    return f"{count} seed" if count == 1 else f"{count} seeds"


def percent(values: Sequence[float], digits: int = 1) -> str:
    """The mean of shares 0..1, one a seed, as "12.5 ± 0.4 %"."""
    return f"{told(over_seeds([100 * value for value in values]), digits)} %"


def quick_look(setting: Setting, length: str = f"{QUICK_EPOCHS} epochs") -> list[str]:
    """The line that a quick study ends with."""
    look = f"A quick look ({QUICK_PICTURES:,} pictures, {length}): it shows the way, no more."
    return [look] if setting.quick else []
