"""What remains of a gap: Fieller's interval, and a verdict that follows it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from limner.studies.batch_size.gap import (
    KINDS,
    SIZES,
    gap,
    gap_table,
    of_kind,
    ratio,
    told_of_rate,
    told_of_sizes,
    told_of_updates,
)
from limner.studies.batch_size.study import plan
from limner.studies.study import Records, Setting

MakeRecords = Callable[..., Records]
EPOCHS = {50: 1.3, 100: 1.4, 500: 1.5, 1000: 1.6}


def test_bounds_are_where_the_students_test_turns() -> None:
    """Fieller's bounds by definition: the ratios r at which mean x - r y is just not 0."""
    x, y = np.array([0.11, 0.09, 0.13]), np.array([0.3, 0.25, 0.28])
    found = ratio(x.tolist(), y.tolist())
    assert found.value == pytest.approx(x.mean() / y.mean())
    for bound in (found.low, found.high):
        rest = x - bound * y
        statistic = rest.mean() / (rest.std(ddof=1) / np.sqrt(3))
        assert abs(statistic) == pytest.approx(t.ppf(0.975, 2))
    assert found.low < found.value < found.high


def test_no_ratio_where_there_is_no_gap() -> None:
    unsure = ratio([0.1, 0.2, 0.1], [0.1, -0.1, 0.05])
    assert np.isnan(unsure.low) and np.isnan(unsure.high)
    assert np.isnan(ratio([0.1], [0.3]).low)
    assert np.isnan(ratio([0.1, 0.2], [0.0, 0.0]).value)
    assert ratio([0.1, 0.1, 9.0], [0.2, 0.2]).value == pytest.approx(0.5)


def made(
    setting: Setting, make_records: MakeRecords, updates: dict[int, float], noise: float = 0.002
) -> Records:
    """EPOCHS at equal epochs; these at equal updates and at a scaled rate."""
    arms = plan(setting)
    random = np.random.default_rng(0)
    scores = {}
    for name, recipes in arms.items():
        _, size, kind = name.split(", ")
        loss = {**EPOCHS, **({} if kind == "equal epochs" else updates)}[int(size)]
        noisy = [loss + noise * random.normal() for _ in recipes]
        scores[name] = {"loss": noisy, "ab_error": 12.0, "ab_error_edges": 13.0}
    return make_records(arms, scores)


def test_what_a_wide_interval_leaves_is_open(setting: Setting, make_records: MakeRecords) -> None:
    """No gap that could be told is not yet a closed one."""
    records = made(setting, make_records, {100: 1.4, 1000: 1.4}, noise=0.03)
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    for said in (told_of_updates(kinds, 100), told_of_rate(kinds, 100)):
        assert "narrows the gap, of which at most" in said or "narrow the gap, of which" in said
        assert "(not told apart)" in said and "just" not in said


def test_what_is_left_may_be_learning_by_heart(setting: Setting, make_records: MakeRecords) -> None:
    records = made(setting, make_records, {100: 1.4, 1000: 1.5})
    for run in records["unet, 1000, equal updates"]:
        run["training"]["loss"][-1] = 1.38 + 0.001 * run["settings"]["seed"]
    for run in records["unet, 100, equal updates"]:
        run["training"]["loss"][-1] = 1.38 - 0.001 * run["settings"]["seed"]
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    assert "what is left is none of learning" in told_of_updates(kinds, 100)


@pytest.mark.parametrize(
    ("large", "updates", "rate"),
    [
        (1.4, "just more updates, of which at most", "a scaled rate closes the gap, of which"),
        (1.5, "explain a part of the gap", "narrows the gap and does not close it"),
        (1.3, "the larger batch is ahead", "more than closes the gap"),
        (1.6, "explain the gap is not supported", "narrows the gap is not supported"),
        (1.7, "explain the gap is not supported", "narrows the gap is not supported"),
    ],
)
def test_the_verdict_follows_the_gap(
    large: float, updates: str, rate: str, setting: Setting, make_records: MakeRecords
) -> None:
    records = made(setting, make_records, {100: 1.4, 1000: large})
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    assert updates in told_of_updates(kinds, 100)
    assert rate in told_of_rate(kinds, 100)


def test_no_gap_is_not_explained(setting: Setting, make_records: MakeRecords) -> None:
    records = made(setting, make_records, {}, noise=1.0)
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    said = told_of_updates(kinds, 100)
    assert "nothing to explain" in said
    assert "no share that could be told" in said


def test_the_figures_stand_in_line_and_table(setting: Setting, make_records: MakeRecords) -> None:
    records = made(setting, make_records, {100: 1.4, 1000: 1.45}, noise=0.0005)
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    said = told_of_updates(kinds, 100)
    assert "+0.200 ± 0.00" in said and "+0.050 ± 0.00" in said
    assert "25 % (" in said and "(3 seeds)" in said
    rows = {row[0]: row for row in gap_table(kinds).rows}
    assert rows["100 to 1000, equal epochs"][3] == "100 %"
    assert str(rows["100 to 1000, equal updates"][3]).startswith("25 % (")
    assert gap(kinds["equal epochs"], 50) == pytest.approx([0.3] * 3, abs=0.01)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ((1.3, 1.4, 1.5, 1.6), "each step to a larger batch is worse"),
        ((1.3, 1.4, 1.35, 1.6), "smaller is not better throughout"),
    ],
)
def test_smaller_is_better(
    losses: tuple[float, ...], words: str, setting: Setting, make_records: MakeRecords
) -> None:
    sizes = dict(zip(SIZES, losses, strict=True))
    scores = {f"cnn, {size}, equal epochs": {"loss": loss} for size, loss in sizes.items()}
    assert words in told_of_sizes(make_records(plan(setting), scores), "cnn")


def test_steps_that_cannot_be_told(setting: Setting, make_records: MakeRecords) -> None:
    noisy = {f"cnn, {size}, equal epochs": {"loss": [1.4, 1.5, 1.3]} for size in (50, 500)}
    noisy |= {f"cnn, {size}, equal epochs": {"loss": [1.5, 1.3, 1.4]} for size in (100, 1000)}
    assert "no step could be told" in told_of_sizes(make_records(plan(setting), noisy), "cnn")
    noisy["cnn, 1000, equal epochs"] = {"loss": [2.4, 2.5, 2.3]}
    said = told_of_sizes(make_records(plan(setting), noisy), "cnn")
    assert "smaller is better, but not every step could be told" in said


def test_one_seed_is_no_finding(tmp_path: Path, make_records: MakeRecords) -> None:
    quick = Setting("cifar10", True, tmp_path)
    records = made(quick, make_records, {100: 1.4, 1000: 1.4})
    kinds = {kind: of_kind(records, "unet", kind) for kind in KINDS}
    lines = [told_of_sizes(records, "unet"), told_of_updates(kinds, 50), told_of_rate(kinds, 50)]
    for line in lines:
        assert "one seed of each, no finding" in line
        assert "just more" not in line and "closes" not in line
