"""How many colors should there be, and in RGB or in ab?"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import log
from pathlib import Path

import numpy as np

from limner.color import rgb8_to_lab
from limner.dataset import find
from limner.learn.loading.data import sample_pixels
from limner.palette import Palette, Space
from limner.scores import ab_error
from limner.studies.palette.arms import (
    ERRORS,
    Arm,
    arms_of,
    error_figure,
    error_table,
    picture_figure,
    score_table,
    truth,
)
from limner.studies.seeds import difference, over_seeds, told
from limner.studies.study import Answer, Arms, Records, Setting, Study, seeded
from limner.studies.verdicts import sign, weighed

RGB = (8, 16, 24, 48, 96)
AB = (24, 48)
PIXELS = 200_000  # from which a palette is learned
SEED = 0


def plan(setting: Setting) -> Arms:
    seeds = 1 if setting.quick else 3
    arms: Arms = {}
    kinds: list[tuple[Space, int]] = [("rgb", K) for K in RGB]
    kinds += [("ab", K) for K in AB]
    for space, K in kinds:
        known = space == "rgb" and K == 24 and setting.data in ("cifar10", "cifar10:horse")
        file = "horse24" if known else str(learned(setting, space, K))
        arms[f"{space}, {K}"] = seeded(replace(setting.base, palette=file), seeds)
    return arms


def learned(setting: Setting, space: Space, K: int) -> Path:
    """The file of a palette learned from the training pictures; made if it is missing."""
    file = setting.folder / "palettes" / f"{space}{K}.json"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = sample_pixels(find(setting.data, "train"), PIXELS, SEED)
        values = pixels if space == "rgb" else rgb8_to_lab(pixels)[..., 1:]
        Palette.learn(values, K, space, SEED).save(file)
    return file


def answer(setting: Setting, records: Records) -> Answer:
    arms = arms_of(setting, records)
    gray = float(ab_error(np.zeros(2), truth(setting, arms[0]).lab[..., 1:]).mean())
    rgb = [arm for arm in arms if arm.palette.space == "rgb"]
    verdict = [
        *told_of_scales(rgb),
        told_of_number(rgb),
        told_of_steps(rgb),
        told_of_limit(rgb),
        *told_of_spaces(arms),
        told_of_lookup(arms),
        f"Every palette is one k-means (seed {SEED}), so that what another draw of the colors "
        "would change is not measured; RGB with 24 colors on horses is the committed one.",
    ]
    if setting.quick:
        verdict.append("A quick look: 1,000 pictures, 3 epochs, one seed.")
    return Answer(
        verdict,
        tables={"errors": error_table(arms, gray), "scores": score_table(setting, arms)},
        figures={"errors": error_figure(rgb), "pictures": picture_figure(setting, arms)},
        facts={
            arm.name: {
                column: {
                    "best": arm.best(column),
                    "lookup": arm.lookup(column),
                    "seeds": arm.reached(column),
                }
                for column in (*ERRORS, "loss", "accuracy")
            }
            for arm in arms
        } | {"gray_ab_error": gray},
    )  # fmt: skip


# ---- the verdict


def told_of_scales(rgb: Sequence[Arm]) -> list[str]:
    """What can be compared between palettes."""
    few, many = rgb[0], rgb[-1]
    return [
        "Losses and accuracies cannot be compared between palettes: an even guess costs "
        f"{log(len(few.palette)):.2f} nats with {len(few.palette)} colors and "
        f"{log(len(many.palette)):.2f} with {len(many.palette)}. The loss less log K, and above "
        "all the errors in ab units and dE2000 against the true colors, can.",
    ]


def told_of_number(rgb: Sequence[Arm]) -> str:
    """Whether more colors bring the network nearer to the truth."""
    few, many = rgb[0], rgb[-1]
    lines = []
    for column, name in ERRORS.items():
        change = difference(many.reached(column), few.reached(column))
        found = {
            "one": "one seed, no finding",
            "none": "no change that can be told",
            "below": "better",
            "above": "worse",
        }[sign(change)]
        lines.append(
            f"the best reachable {name} goes from {few.best(column):.2f} to "
            f"{many.best(column):.2f} and the reached one changes by {told(change, 2)} ({found})"
        )
    return f"From {len(few.palette)} to {len(many.palette)} colors in RGB {'; '.join(lines)}."


def told_of_steps(rgb: Sequence[Arm]) -> str:
    """From how many colors on more of them bring nothing that could be told."""
    parts = []
    for few, many in pairwise(rgb):
        change = difference(many.reached("ab_error"), few.reached("ab_error"))
        parts.append(f"{len(few.palette)} to {len(many.palette)} {weighed(change, digits=2)}")
    return f"Step by step the reached ab error changes, {', '.join(parts)}."


def told_of_limit(rgb: Sequence[Arm]) -> str:
    """How much of the error is the network's guess, and not the palette's coarseness."""
    parts = []
    for arm in rgb:
        over = over_seeds([value - arm.best("ab_error") for value in arm.reached("ab_error")])
        parts.append(f"{told(over, 2)} with {len(arm.palette)} colors")
    return f"The reached ab error less that of the true class: {', '.join(parts)}."


def told_of_spaces(arms: Sequence[Arm]) -> list[str]:
    """RGB against ab at the numbers of colors that both have."""
    named = {arm.name: arm for arm in arms}
    lines = []
    for K in AB:
        rgb, ab = named[f"rgb, {K}"], named[f"ab, {K}"]
        change = difference(ab.reached("ab_error"), rgb.reached("ab_error"))
        found = weighed(change, above="RGB is better", below="ab is better", digits=2)
        lines.append(
            f"{K} colors in ab instead of RGB: the best reachable ab error is "
            f"{ab.best('ab_error'):.2f} instead of {rgb.best('ab_error'):.2f}; the reached one "
            f"changes by {found}. With the palette the input changes, too: L* in place of the "
            "mean of the channels."
        )
    return lines


def told_of_lookup(arms: Sequence[Arm]) -> str:
    """In which palettes the network's colors are nearer to the truth than the look-up's."""
    found: dict[str, list[str]] = {}
    for arm in arms:
        less = over_seeds([value - arm.lookup("ab_error") for value in arm.reached("ab_error")])
        kind = {
            "one": "from one seed nothing is found for",
            "none": "it cannot be told from the look-up's for",
            "below": "it is below the look-up's for",
            "above": "it is above it for",
        }[sign(less)]
        found.setdefault(kind, []).append(f"{arm.name} ({told(less, 2)})")
    told_all = "; ".join(f"{kind} {', '.join(names)}" for kind, names in found.items())
    return f"The network's ab error beside the grey look-up's in the same palette: {told_all}."


STUDY = Study(
    name="palette",
    title="How many colors there should be, and in RGB or in ab",
    questions=(),
    plan=plan,
    answer=answer,
)
