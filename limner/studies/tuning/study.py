"""C1 to C5: what it costs and brings to tune all of a network, or its last layer alone.

Costs are those of the write-up's own network (torchvision's DeepLabV3 on ResNet-101, random
weights); scores are those of the embedded model `voc`, whose last layer is forgotten and learned
again. Nothing is fetched.
"""

import statistics
from dataclasses import asdict
from pathlib import Path

from matplotlib.figure import Figure

from limner import weights
from limner.card import Model
from limner.evaluate.masks import check_labels
from limner.learn.loading.sources import gather_masks
from limner.masks.sets import find_labelled
from limner.recipe import Recipe
from limner.studies import figures
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Answer, Arms, Records, Setting, Study
from limner.studies.timing import BUSY, check_idle
from limner.studies.tuning.cost import (
    ALL,
    CACHED,
    LAST,
    Costs,
    backward,
    cost_table,
    costs,
    megabytes,
)
from limner.studies.tuning.pictures import SPLITS, picture_figure
from limner.studies.tuning.quality import (
    EQUAL_STEPS,
    EQUAL_TIME,
    UNTOUCHED,
    Qualities,
    gains,
    qualities,
    quality_table,
    summary,
)
from limner.studies.verdicts import sign, weighed

BASE = "voc"
SIDES = (224, 448)
BATCH, STEPS = 2, 5  # of what is timed
QUICK_SIDES, QUICK_STEPS = (32, 64), 2
SEEDS, TUNED = 3, 60  # of what is scored: seeds, and steps of 16 pictures
QUICK_SEEDS, QUICK_TUNED = 1, 5
HOLDOUT = 90  # those of recipes/voc.toml: the model has not learned from them


def plan(setting: Setting) -> Arms:
    """No runs of the runner's: what is timed runs alone, and begins from a model."""
    return {}


def check(data: str) -> None:
    """Raise DataError unless the set has masks of the base's classes in both splits."""
    card = Model(weights.path(BASE)).card
    for split in SPLITS:
        check_labels(find_labelled(data, split).labels, (), card, data)


def answer(setting: Setting, records: Records) -> Answer:
    quick = setting.quick
    busy = check_idle(setting.folder)
    sides, steps = (QUICK_SIDES, QUICK_STEPS) if quick else (SIDES, STEPS)
    seeds, tuned = (QUICK_SEEDS, QUICK_TUNED) if quick else (SEEDS, TUNED)
    base = weights.path(BASE)
    recipe = scored_recipe(base, setting.data)
    sources = gather_masks(recipe, None)  # before anything that takes long: it may refuse the set
    counted = costs(timed_recipe(), sides, steps)
    found = qualities(base, recipe, sources, tuned, seeds, setting.folder, busy)
    held = sum(map(len, sources.held))
    shown = {"pictures": picture_figure(base, setting.data)}
    answered = concluded(counted, found, busy, held, shown)
    if quick:
        answered.verdict.append(
            f"A quick look (pictures of {sides[0]} and {sides[1]} px to time, {tuned} steps to "
            "score): it shows the way, no more."
        )
    return answered


def timed_recipe() -> Recipe:
    """The write-up's network, of which the last layer learns."""
    return Recipe(
        name="tuning",
        task="segment",
        network="deeplabv3",
        encoder="resnet101",
        learn=("classifier.4",),
        data=(BASE,),
        size=SIDES[0],
        batch=BATCH,
        steps=1,
    )


def scored_recipe(base: Path, data: str) -> Recipe:
    """The base's network on the set's own training pictures, some of them held out."""
    arguments = Model(base).card.network["arguments"]
    return Recipe(
        name="tuning",
        task="segment",
        network="deeplabv3",
        encoder=arguments["encoder"],
        width=arguments["width"],
        learn=("classifier.4",),
        data=(data,),
        holdout=HOLDOUT,
        size=224,
        zoom=0.5,
        flip=True,
        views=4,
        batch=16,
        steps=1,
        optimizer="adamw",
        schedule="cosine",
    )


# ---- what it says


def concluded(
    costs: Costs, found: Qualities, busy: float, held: int, pictures: dict[str, Figure]
) -> Answer:
    """The answer that the costs and the scores support."""
    alone = busy <= BUSY
    verdict = [told_of_parts(costs), *told_of_scores(found, alone), told_of_memory(costs)]
    verdict.append(told_of_backward(costs, alone))
    if alone:
        verdict.append(told_of_cache(costs))
    verdict.append(told_of_sides(costs, alone))
    if not alone:
        verdict.append(
            f"C3 to C5: {busy:.1f} other processes ran when the timing began: no finding on "
            "seconds; call the study again on an idle machine."
        )
    batch = timed_recipe().batch
    bars = {
        f"{arm}, {equal}" if equal else arm: over_seeds(gains(found, arm, equal))
        for arm, equal in found
    }
    return Answer(
        verdict,
        tables={
            "costs": cost_table(costs, batch, busy),
            "scores": quality_table(found, held),
        },
        figures={"mean-iou": figures.bars(bars, "mean IoU on held-out pictures", {}), **pictures},
        facts={
            "costs": {f"{arm}, {side}": asdict(one) for (arm, side), one in costs.items()},
            "scores": summary(found),
            "load": busy,
        },
    )


def sides_of(costs: Costs) -> tuple[int, int]:
    """The smaller and the larger side."""
    sides = sorted({side for _, side in costs})
    return sides[0], sides[-1]


def told_of_parts(costs: Costs) -> str:
    small = sides_of(costs)[0]
    last, everything = (costs[arm, small].counted for arm in (LAST, ALL))
    return (
        f"C1, C2: the last layer has {last.trainable:,} of {everything.trainable:,} parameters. "
        "The optimizer is built after the layer was replaced, and holds these alone; norms and "
        "dropout of what is frozen stay in eval, so that no statistic of it moves."
    )


def told_of_scores(found: Qualities, alone: bool) -> list[str]:
    """C3, as far as the intervals allow; after equal time only if the time was taken alone."""
    whole = over_seeds(gains(found, UNTOUCHED, "")).value
    last = gains(found, LAST, EQUAL_STEPS)
    beside = over_seeds([value - whole for value in last])
    gained = {
        "one": ".",
        "none": ": on classes that the network knew, no gain of a new head can be told.",
        "above": ": it gains on the head that was deleted.",
        "below": ": on classes that the network knew, a new head gains nothing.",
    }[sign(beside)]
    lines = [
        f"C3: the head that was deleted has a mean IoU of {whole:.3f} on held-out pictures; a new "
        f"last layer relearns it to {told(over_seeds(last))} ({weighed(beside, 'better', 'worse')} "
        f"beside it){gained}"
    ]
    for equal in (EQUAL_STEPS, EQUAL_TIME) if alone else (EQUAL_STEPS,):
        whole_net = gains(found, ALL, EQUAL_STEPS)
        for arm in (LAST, CACHED):
            less = difference(gains(found, arm, equal), whole_net)
            lines.append(
                f"C3: after {equal}, {arm} less all: mean IoU {weighed(less, 'better', 'worse')}."
            )
    return lines


def told_of_memory(costs: Costs) -> str:
    """C4: which part of the memory is O(1)."""
    small = sides_of(costs)[0]
    everything, last, cached = (costs[arm, small] for arm in (ALL, LAST, CACHED))
    return (
        f"C4, memory at {small} px: all grows the process by {megabytes(everything.grown)} MB "
        f"(counted {megabytes(everything.counted.peak_training)}), the last layer alone by "
        f"{megabytes(last.grown)} (counted {megabytes(last.counted.peak_training)}): gradients and "
        "moments are O(1) then, weights and the forward pass are not. From kept features "
        f"the step itself needs {megabytes(cached.counted.peak_training)} MB (counted), whatever "
        "the network."
    )


def told_of_backward(costs: Costs, alone: bool) -> str:
    """C4: the way back beside the way there; its seconds only if they were taken alone."""
    small = sides_of(costs)[0]
    parts = []
    for arm in (ALL, LAST):
        measured = f", measured {100 * costs[arm, small].ratio:.3g} %" if alone else ""
        parts.append(f"{arm}: counted {100 * backward(costs[arm, small].counted):.3g} %{measured}")
    return (
        f"C4, backward over forward ({'; '.join(parts)}): the write-up's 200 % is what the "
        "connections come to where all learns, but for the first layer, which need not say what "
        "its input should have been; it is not what one layer costs."
    )


def told_of_cache(costs: Costs) -> str:
    """C4: the price of the last layer."""
    small = sides_of(costs)[0]
    times = {arm: costs[arm, small].step for arm in (ALL, LAST, CACHED)}
    keeping = statistics.median(costs[CACHED, small].keeping)
    return (
        f"C4, compute at {small} px: a step takes {1e3 * times[ALL]:.0f} ms for all, "
        f"{1e3 * times[LAST]:.0f} ms for the last layer, {1e3 * times[CACHED]:.2f} ms for the last "
        f"layer from kept features: {times[ALL] / times[LAST]:.1f} and "
        f"{times[LAST] / times[CACHED]:,.0f} times less. Only kept features make it O(1); to keep "
        f"those of a batch takes {1e3 * keeping:.0f} ms, once for each view."
    )


def told_of_sides(costs: Costs, alone: bool) -> str:
    """C5: what a doubled side costs; seconds only if they were taken alone."""
    small, large = sides_of(costs)
    parts = []
    for arm in (ALL, LAST, CACHED):
        a, b = costs[arm, small], costs[arm, large]
        grown = f"{b.grown / a.grown:.2f}" if a.grown and b.grown else "-"
        seconds = f", seconds x {b.step / a.step:.2f}" if alone else ""
        parts.append(
            f"{arm}: parameters x {b.counted.parameters / a.counted.parameters:g}, connections x "
            f"{b.counted.connections / a.counted.connections:.3g}{seconds}, process x {grown}"
        )
    pixels = (large / small) ** 2
    return f"C5, from {small} to {large} px (pixels x {pixels:g}): {'; '.join(parts)}."


STUDY = Study(
    name="tuning",
    title="What it costs and brings to tune all, or the last layer alone",
    questions=("C1", "C2", "C3", "C4", "C5"),
    plan=plan,
    answer=answer,
    data=BASE,
    check=check,
    minutes=(4, 30),
)
