"""B3 v: main effects by hand, and a verdict that follows them."""

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.networks.unet import SKIPS
from limner.studies.record import Record
from limner.studies.scoring import Truth
from limner.studies.skip_connections.effects import (
    arm_of,
    effects_table,
    main_effect,
    measure,
    pairs,
    told_of_brightness,
    told_of_skips,
)
from limner.studies.skip_connections.study import plan
from limner.studies.study import Records, Setting

MakeRecords = Callable[..., Records]
SPREAD = (0.01, -0.02, 0.015, 0.0, 0.02)  # of the seeds, the same in every arm


def additive(
    setting: Setting, make_records: MakeRecords, effects: Mapping[str, float], noise: float = 0.0
) -> Records:
    """Losses of 1.6 plus each skip's effect; `noise` differs by arm and seed."""
    arms = plan(setting)
    random = np.random.default_rng(0)
    scores = {}
    for taken in product((False, True), repeat=3):
        skips = frozenset(name for name, there in zip(SKIPS, taken, strict=True) if there)
        name = arm_of(skips)
        loss = 1.6 + sum(effects.get(skip, 0.0) for skip in skips)
        seeds = SPREAD[: len(arms[name])]
        scores[name] = {"loss": [loss + s + noise * random.normal() for s in seeds]}
    return make_records(arms, scores)


def test_pairs_are_the_four_of_each_skip() -> None:
    assert pairs("picture") == [
        ("skips picture", "cnn"), ("skips b2,picture", "skips b2"),
        ("skips b1,picture", "skips b1"), ("unet", "skips b2,b1"),
    ]  # fmt: skip
    assert sorted(arm for skip in SKIPS for pair in pairs(skip) for arm in pair) == sorted(
        3 * [arm_of(frozenset()), "unet", *(f"skips {s}" for s in SKIPS),
             "skips b2,b1", "skips b2,picture", "skips b1,picture"]
    )  # fmt: skip


def test_main_effects_are_those_that_were_put_in(
    setting: Setting, make_records: MakeRecords, truth: Truth
) -> None:
    effects = {"b2": -0.02, "b1": -0.2, "picture": -0.05}
    records = additive(setting, make_records, effects)
    for skip, expected in effects.items():
        assert main_effect(records, skip, measure("loss")).value == pytest.approx(expected)
    rows = {row[0]: row for row in effects_table(records, truth).rows}
    assert rows["b1, main effect"][1:3] == (3, "-0.200 ± 0.000")
    assert len(rows) == 3 * 5


@pytest.mark.parametrize(
    ("effects", "noise", "words"),
    [
        ({"picture": -0.2, "b1": -0.1}, 0.0, "helps, and no skip helps more"),
        ({"picture": -0.02, "b1": -0.2}, 0.0, "helps, but b1 does more"),
        ({"b1": -0.2}, 0.001, "does it is not supported; b1 does"),
        ({"picture": 0.1, "b1": 0.2, "b2": 0.1}, 0.0, "does it is not supported."),
        ({}, 0.1, "does it is not supported."),
    ],
)
def test_which_skip_does_it(
    effects: Mapping[str, float], noise: float, words: str,
    setting: Setting, make_records: MakeRecords,
) -> None:  # fmt: skip
    assert words in told_of_skips(additive(setting, make_records, effects, noise))


def test_one_seed_is_no_finding(tmp_path: Path, make_records: MakeRecords) -> None:
    quick = Setting("cifar10", True, tmp_path)
    said = told_of_skips(additive(quick, make_records, {"picture": -0.2}))
    assert "So one seed of each, no finding." in said
    assert "does it is" not in said


@pytest.mark.parametrize(
    ("unet", "words"),
    [
        ({"accuracy": 0.49, "accuracy_alike": 0.80}, "some color beside brightness"),
        ({"accuracy": 0.49, "accuracy_alike": 0.73}, "no gain in color could be told"),
        ({"accuracy": 0.49, "accuracy_alike": 0.70}, "no gain in color could be told"),
        ({"accuracy": 0.41, "accuracy_alike": 0.80}, "nothing to divide"),
    ],
)
def test_brightness_or_color(
    unet: Mapping[str, float], words: str, setting: Setting, make_records: MakeRecords, truth: Truth
) -> None:
    cnn = {"accuracy": 0.41, "accuracy_alike": 0.73}
    records = make_records(plan(setting), {"unet": unet, "cnn": cnn})
    assert words in told_of_brightness(records, truth)[0]


def test_brightness_is_measured_on_the_kept_pictures(
    setting: Setting, make_record: Callable[..., Record], truth: Truth
) -> None:
    def classes(name: str) -> Any:
        return truth.classes if name == "unet" or "picture" in name else 0 * truth.classes

    records: Records = {
        name: tuple(make_record(recipe, pictures=classes(name)) for recipe in recipes)
        for name, recipes in plan(setting).items()
    }
    said = told_of_brightness(records, truth)[1]
    assert "b1 +0.0 ± 0.0 (not told apart), picture -75.6 ± 0.0 (better)" in said
