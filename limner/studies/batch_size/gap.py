"""B4: the gap in loss between batch sizes, and what is left of it when updates are made equal."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import t

from limner.scores import Interval
from limner.studies import answers
from limner.studies.record import Record
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Records, Table
from limner.studies.verdicts import seeds, sign, weighed

SIZES = (50, 100, 500, 1000)
KINDS = ("equal epochs", "scaled rate", "equal updates")

CLOSED = 0.25  # of a gap: the most that may be left, by its interval, where it is called closed

Sizes = Mapping[int, tuple[Record, ...]]  # the runs of each batch size


def of_kind(records: Records, network: str, kind: str) -> dict[int, tuple[Record, ...]]:
    """The runs of one network by batch size, all of one kind."""
    return {size: records[f"{network}, {size}, {kind}"] for size in SIZES}


def gap(sizes: Sizes, small: int, column: str = "loss") -> list[float]:
    """The largest batch's score less a smaller one's, one a seed."""
    large = answers.values(sizes[SIZES[-1]], column)
    return [a - b for a, b in zip(large, answers.values(sizes[small], column), strict=False)]


def training_gap(sizes: Sizes, small: int) -> list[float]:
    """The same of the training losses at the end."""
    large, little = (answers.training_losses(sizes[size]) for size in (SIZES[-1], small))
    return [a - b for a, b in zip(large, little, strict=False)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """mean(ours) / mean(theirs), paired by seed, and its 95 % interval (Fieller 1954).

    The bounds are NaN with one seed, and where the denominator cannot be told from zero.
    """
    x, y = np.array(list(zip(ours, theirs, strict=False))).T
    n = len(x)
    value = float(x.mean() / y.mean()) if y.mean() else float("nan")
    if n < 2:
        return Interval(value, float("nan"), float("nan"))
    covariance = np.cov(x, y) / n * t.ppf(0.975, n - 1) ** 2
    a = y.mean() ** 2 - covariance[1, 1]
    b = x.mean() * y.mean() - covariance[0, 1]
    c = x.mean() ** 2 - covariance[0, 0]
    if a <= 0:
        return Interval(value, float("nan"), float("nan"))
    half = np.sqrt(max(b * b - a * c, 0.0)) / a
    return Interval(value, float(b / a - half), float(b / a + half))


def remaining(kinds: Mapping[str, Sizes], small: int, kind: str) -> Interval:
    """The share of the gap at equal epochs that is left when updates or rates are made equal."""
    return ratio(gap(kinds[kind], small), gap(kinds["equal epochs"], small))


def told_of_sizes(records: Records, network: str) -> str:
    """Whether each step to a larger batch makes the loss worse at equal epochs."""
    sizes = of_kind(records, network, "equal epochs")
    losses = {size: answers.values(runs, "loss") for size, runs in sizes.items()}
    steps = [difference(losses[b], losses[a]) for a, b in pairwise(SIZES)]
    listed = ", ".join(f"{size}: {told(over_seeds(values))}" for size, values in losses.items())
    changes = "; ".join(
        f"{a} to {b} {weighed(step)}" for (a, b), step in zip(pairwise(SIZES), steps, strict=True)
    )
    signs = {sign(step) for step in steps}
    if "one" in signs:
        judged = "one seed of each, no finding"
    elif signs == {"above"}:
        judged = "each step to a larger batch is worse"
    elif "below" in signs:
        judged = "smaller is not better throughout"
    elif "above" in signs:
        judged = "smaller is better, but not every step could be told"
    else:
        judged = "no step could be told"
    name = {"unet": "UNet", "cnn": "CNN"}[network]
    return (
        f"B4: {name}, equal epochs, loss by batch size: {listed}; {changes} "
        f"({seeds(min(map(len, losses.values())))}): {judged}."
    )


def told_of_updates(kinds: Mapping[str, Sizes], small: int) -> str:
    """How much of the gap at equal epochs is just more updates."""
    before, after = (gap(kinds[kind], small) for kind in ("equal epochs", "equal updates"))
    left, shrunk = over_seeds(after), difference(after, before)
    trained = over_seeds(training_gap(kinds["equal updates"], small))
    share = remaining(kinds, small, "equal updates")
    if sign(over_seeds(before)) == "one":
        judged = "one seed of each, no finding"
    elif sign(over_seeds(before)) != "above":
        judged = "no gap at equal epochs that could be told, so nothing to explain"
    elif sign(shrunk) != "below":
        judged = "that more updates explain the gap is not supported"
    elif sign(left) == "above" and sign(trained) == "above":
        judged = "more updates explain a part of the gap, and smaller is better beside them"
    elif sign(left) == "above":
        judged = (
            "more updates explain a part of the gap; what is left is none of learning (the "
            "training loss), but of what holds for new pictures"
        )
    elif sign(left) == "below":
        judged = "just more updates, and more than that: at equal updates the larger batch is ahead"
    else:
        found = "just more updates" if share.high <= CLOSED else "open: more updates narrow the gap"
        judged = f"{found}, of which at most {100 * share.high:.0f} % is left"
    return (
        f"B4: UNet, loss at batch {SIZES[-1]} less that at {small}: {weighed(over_seeds(before))} "
        f"at equal epochs, {weighed(left)} at equal updates, there in training {weighed(trained)}; "
        f"{_share(share, before)} of the gap remains "
        f"({seeds(len(after))}): {judged}. At equal updates a larger batch sees more pictures."
    )


def told_of_rate(kinds: Mapping[str, Sizes], small: int) -> str:
    """How much of the gap is left if the learning rate grows with the batch."""
    before, after = (gap(kinds[kind], small) for kind in ("equal epochs", "scaled rate"))
    shrunk = difference(after, before)
    share = remaining(kinds, small, "scaled rate")
    if sign(shrunk) == "one":
        judged = "one seed of each, no finding"
    elif sign(over_seeds(before)) != "above":
        judged = "no gap at the one rate that could be told"
    elif sign(shrunk) != "below":
        judged = "that a scaled rate narrows the gap is not supported"
    elif sign(over_seeds(after)) == "above":
        judged = "a scaled rate narrows the gap and does not close it"
    elif sign(over_seeds(after)) == "below":
        judged = "a scaled rate more than closes the gap: the larger batch is ahead"
    else:
        verb = "closes" if share.high <= CLOSED else "narrows"
        judged = f"a scaled rate {verb} the gap, of which at most {100 * share.high:.0f} % is left"
    return (
        f"B4: UNet, equal epochs, rate in proportion to the batch: loss at {SIZES[-1]} less that "
        f"at {small} {weighed(over_seeds(after))}; "
        f"{_share(share, before)} of the gap at one rate remains "
        f"({seeds(len(after))}): {judged}."
    )


def _share(share: Interval, before: Sequence[float]) -> str:
    """A share of a gap with its interval, if there is a gap to have a share of."""
    if len(before) < 2 and not np.isnan(share.value):
        return f"{100 * share.value:.0f} % (one seed, no finding)"
    if np.isnan(share.low):
        return "no share that could be told"
    return f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f} %)"


def gap_table(kinds: Mapping[str, Sizes]) -> Table:
    """The gaps in loss, and the share of each that remains."""
    rows: list[tuple[object, ...]] = []
    for small in SIZES[:2]:
        before = gap(kinds["equal epochs"], small)
        for kind, sizes in kinds.items():
            left = gap(sizes, small)
            same = kind == "equal epochs"
            share = "100 %" if same else _share(remaining(kinds, small, kind), before)
            rows.append(
                (f"{small} to {SIZES[-1]}, {kind}", len(left), told(over_seeds(left)), share)
            )
    header = ("", "seeds", "gap in loss, nats", "share of the gap at equal epochs")
    note = "UNet. Shares: ratio of the mean gaps, paired by seed, with Fieller's 95 % interval."
    return Table("What remains of the gap", header, rows, note)
