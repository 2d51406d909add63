"""Means and intervals over seeds, by hand and by scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from limner.studies.seeds import apart, difference, over_seeds, told, unpaired


def test_the_interval_by_hand() -> None:
    found = over_seeds([1.0, 2.0, 3.0])
    half = 4.302653 / math.sqrt(3)  # Student's t with 2 degrees of freedom, a deviation of 1
    assert found.value == 2
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), abs=1e-6)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_the_interval_by_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(3, 2, n)
    found = over_seeds(values.tolist())
    expected = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    test = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((test.low, test.high))


def test_what_makes_no_pairs_by_scipy() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(1, 2, 3).tolist(), random.normal(0, 1, 5).tolist()
    found = unpaired(ours, theirs)
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert math.isnan(unpaired([1.0], theirs).low) and math.isnan(unpaired(ours, [1.0]).high)
    assert unpaired([1.5, 1.5], [1.0, 1.0]) == (0.5, 0.5, 0.5)


def test_the_interval_holds_the_truth_19_times_of_20() -> None:
    random = np.random.default_rng(0)
    found = [over_seeds(random.normal(1, 3, 5).tolist()) for _ in range(2000)]
    held = [interval.low <= 1 <= interval.high for interval in found]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_one_seed_has_no_interval() -> None:
    found = over_seeds([1.25])
    assert found.value == 1.25
    assert math.isnan(found.low) and math.isnan(found.high)
    assert not apart(found)
    assert told(found) == "1.250"


def test_differences_are_paired_seed_by_seed() -> None:
    theirs = [10.0, 20.0, 30.0, 40.0]
    ours = [value - 1 for value in theirs]
    found = difference(ours, theirs)
    assert found == (-1, -1, -1)  # not the spread of the two alone
    assert apart(found)
    assert difference(ours, theirs[:2]).value == -1
    assert math.isnan(difference(ours[:1], theirs).low)


def test_apart_is_zero_left_out() -> None:
    assert apart(over_seeds([0.9, 1.0, 1.1]))
    assert apart(over_seeds([-0.9, -1.0, -1.1]))
    assert not apart(over_seeds([-0.9, 1.0, 1.1]))


def test_as_a_table_shows_it() -> None:
    assert told(over_seeds([1.0, 2.0, 3.0])) == "2.000 ± 2.484"
    assert told(over_seeds([1.0, 2.0, 3.0]), 1) == "2.0 ± 2.5"
