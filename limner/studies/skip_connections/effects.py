"""B3 v: which of the UNet's three skips does it, from all eight subsets of them."""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from limner.networks.unet import SKIPS
from limner.scores import Interval
from limner.studies import answers
from limner.studies.class_colors import brightness_error
from limner.studies.record import Record, unpack
from limner.studies.scoring import Truth
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Records, Table
from limner.studies.verdicts import seeds, sign, weighed

Measure = Callable[[Record], float]


def arm_of(skips: frozenset[str]) -> str:
    """The arm with just these skips; none of them is the CNN."""
    if not skips:
        return "cnn"
    if skips == frozenset(SKIPS):
        return "unet"
    return f"skips {','.join(name for name in SKIPS if name in skips)}"


def measure(column: str) -> Measure:
    """A score of a record on its first set."""
    return lambda record: answers.values([record], column)[0]


def brightness(truth: Truth) -> Measure:
    """How far a record's classes are from the pixels' own brightness, on the pictures it keeps."""
    return lambda record: brightness_error(unpack(record["pictures"]), truth)


def true_brightness(records: Records, truth: Truth) -> float:
    """The same of the true classes: what a palette of few colors costs."""
    shown = len(unpack(records["unet"][0]["pictures"]))
    return brightness_error(truth.classes[:shown], truth)


def pairs(skip: str) -> list[tuple[str, str]]:
    """The four pairs of arms (with, without) that differ in that skip alone."""
    others = [name for name in SKIPS if name != skip]
    rests = [frozenset(some) for size in range(3) for some in combinations(others, size)]
    return [(arm_of(rest | {skip}), arm_of(rest)) for rest in rests]


def effect(records: Records, skip: str, of: Measure) -> list[float]:
    """The skip's main effect, one a seed: mean over its four pairs of with less without.

    The seeds are those that all eight arms have.
    """
    together = [arm for pair in pairs(skip) for arm in pair]
    count = min(len(records[arm]) for arm in together)
    return [
        float(np.mean([of(records[a][seed]) - of(records[b][seed]) for a, b in pairs(skip)]))
        for seed in range(count)
    ]


def main_effect(records: Records, skip: str, of: Measure) -> Interval:
    """The mean of `effect` over the seeds and its interval."""
    return over_seeds(effect(records, skip, of))


def single(records: Records, pair: tuple[str, str], of: Measure) -> Interval:
    """With less without, of one pair of arms."""
    ours, theirs = ([of(record) for record in records[arm]] for arm in pair)
    return difference(ours, theirs)


def verdict(records: Records, truth: Truth) -> list[str]:
    """B3 v, in two lines: which skip, and whether it is copying of brightness."""
    return [told_of_skips(records), *told_of_brightness(records, truth)]


def told_of_skips(records: Records) -> str:
    """Whether the picture handed to the last layer is what helps."""
    loss = measure("loss")
    effects = {skip: effect(records, skip, loss) for skip in SKIPS}
    count = len(effects["picture"])
    listed = ", ".join(f"{skip} {weighed(over_seeds(effects[skip]))}" for skip in SKIPS)
    alone, last = single(records, pairs("picture")[0], loss), pairs("picture")[-1]
    best = min(SKIPS, key=lambda skip: np.mean(effects[skip]))
    more = difference(effects[best], effects["picture"])
    found = sign(over_seeds(effects["picture"]))
    if found == "one":
        judged = "one seed of each, no finding"
    elif found != "below":
        judged = "that the picture handed to the last layer does it is not supported"
    elif best == "picture":
        judged = "the picture handed to the last layer helps, and no skip helps more"
    elif sign(more) == "below":
        judged = f"the picture handed to the last layer helps, but {best} does more"
    else:
        judged = f"the picture handed to the last layer helps, and whether {best} does more is open"
    if found not in ("one", "below") and sign(over_seeds(effects[best])) == "below":
        judged += f"; {best} does"
    return (
        f"B3 v: main effect of each skip on the loss (mean over the four pairs with and without "
        f"it, {seeds(count)}): {listed}. The picture alone beside the CNN: {weighed(alone)}; added "
        f"to the other two: {weighed(single(records, last, loss))}. So {judged}."
    )


def told_of_brightness(records: Records, truth: Truth) -> list[str]:
    """Whether what the skips bring is brightness or color."""
    pair = ("unet", "cnn")
    right, alike = (single(records, pair, measure(c)) for c in ("accuracy", "accuracy_alike"))
    painted = single(records, pair, brightness(truth))
    ab = single(records, pair, measure("ab_error"))
    levels = [told(over_seeds([*map(brightness(truth), records[arm])]), 1) for arm in pair]
    own = true_brightness(records, truth)
    if sign(right) == "one":
        judged = "one seed, no finding"
    elif sign(right) != "above":
        judged = "no gain in accuracy that could be told, so nothing to divide"
    elif sign(alike) == "above":
        judged = "the skips bring some color beside brightness"
    else:
        judged = "what the skips bring is brightness; no gain in color could be told"
    copied = {
        skip: weighed(main_effect(records, skip, brightness(truth)), digits=1) for skip in SKIPS
    }
    count = len(effect(records, "picture", measure("loss")))
    listed = ", ".join(f"{skip} {told_effect}" for skip, told_effect in copied.items())
    return [
        f"B3 v: UNet less CNN: accuracy {weighed(right, 'more', 'less')}, accuracy among classes "
        f"of like brightness {weighed(alike, 'more', 'less')}, ab error {weighed(ab, digits=2)}, "
        f"distance between a pixel's grey and its class's {weighed(painted, digits=1)} levels of "
        f"255 (CNN {levels[1]}, UNet {levels[0]}, true classes {own:.1f}): {judged} "
        f"({seeds(min(len(records[arm]) for arm in pair))}).",
        f"B3 v: main effect of each skip on that distance ({seeds(count)}): {listed}.",
    ]


def effects_table(records: Records, truth: Truth) -> Table:
    """Each skip's main effect, its effect alone, and what is lost without it."""
    columns: dict[str, tuple[Measure, int]] = {
        "loss, nats": (measure("loss"), 3),
        "accuracy": (measure("accuracy"), 3),
        "accuracy among like brightness": (measure("accuracy_alike"), 3),
        "ab error": (measure("ab_error"), 2),
        "brightness error, levels": (brightness(truth), 1),
    }
    rows: list[tuple[object, ...]] = []
    for skip in SKIPS:
        count = len(effect(records, skip, measure("loss")))
        cells = [told(main_effect(records, skip, of), digits) for of, digits in columns.values()]
        rows.append((f"{skip}, main effect", count, *cells))
        for ours, theirs in pairs(skip):
            cells = [
                told(single(records, (ours, theirs), of), digits) for of, digits in columns.values()
            ]
            few = min(len(records[ours]), len(records[theirs]))
            rows.append((f"{ours} less {theirs}", few, *cells))
    note = (
        "Skips by what they hand on: b2 to B4, b1 to B5, the picture to Out. Main effect: mean "
        "over the four pairs of arms with and without the skip, on the seeds that all have. "
        "Brightness error: mean distance between a pixel's grey and the channel mean of the class "
        "it gets, on the validation pictures that the records keep; the true classes' own is "
        f"{true_brightness(records, truth):.1f}."
    )
    return Table("What each skip changes", ("", "seeds", *columns), rows, note)
