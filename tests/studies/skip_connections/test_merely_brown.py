"""A2, B3 iii: "merely brown", dark browns, grass and sky follow the classes of the records."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from limner.studies import answers
from limner.studies.class_colors import kinds
from limner.studies.record import Record, palette_of
from limner.studies.scoring import Truth
from limner.studies.skip_connections.merely_brown import color_table, told_of_browns, told_of_kinds
from limner.studies.study import WRITEUP, Records

MakeRecord = Callable[..., Record]
PALETTE = palette_of(WRITEUP)
KIND = kinds(PALETTE)


@pytest.fixture
def truth() -> Truth:
    return answers.truth_of("cifar10", "val", PALETTE)


def classes(seed: int = 0, level: float = 100.0, **shares: float) -> dict[str, list[float]]:
    """Predicted shares of kinds, the rest grey, seeds a little apart; greys at `level`."""
    predicted = np.zeros(24)
    for kind, share in shares.items():
        predicted[KIND[kind]] = (share + 0.001 * seed) / len(KIND[kind])
    predicted[KIND["grey"]] += (1 - predicted.sum()) / len(KIND["grey"])
    return {"predicted": predicted.tolist(), "grey": [level + seed] * 24}


def runs(make_record: MakeRecord, count: int = 5, **shares: Any) -> tuple[Record, ...]:
    return tuple(
        make_record(replace(WRITEUP, seed=seed), classes=classes(seed, **shares))
        for seed in range(count)
    )


@pytest.mark.parametrize(
    ("brown", "judged", "weighed"),
    [
        (0.8, "most pixels are brown.", "(too many)"),
        (0.1, "the pictures are not merely brown.", "(too few)"),
        (0.498, "cannot be told", "(too many)"),
    ],
)
def test_merely_brown(
    brown: float, judged: str, weighed: str, make_record: MakeRecord, truth: Truth
) -> None:
    said = told_of_browns(runs(make_record, brown=brown), truth)[0]
    assert judged in said and weighed in said
    assert f"{100 * (brown + 0.002):.1f} ± 0.2 % of the pixels become brown" in said
    assert "(5 seeds)" in said


def test_one_seed_is_no_finding(make_record: MakeRecord, truth: Truth) -> None:
    first, second = told_of_browns(runs(make_record, 1, brown=0.8), truth)
    assert first.endswith("(1 seed): one seed, no finding.")
    assert "most pixels are" not in first
    assert second.count("one seed, no finding") == 2


def test_where_the_browns_fall(make_record: MakeRecord, truth: Truth) -> None:
    dark = told_of_browns(runs(make_record, brown=0.2, level=10.0), truth)[1]
    assert f"all pixels {truth.grey.mean():.1f} (" in dark
    assert dark.count("(darker)") == 2
    light = told_of_browns(runs(make_record, brown=0.2, level=240.0), truth)[1]
    assert light.count("(lighter)") == 2


def test_no_brown_at_all(make_record: MakeRecord, truth: Truth) -> None:
    table = classes()
    table["predicted"] = [0.0 if k in KIND["brown"] else 1 / 19 for k in range(24)]
    made = make_record(WRITEUP, classes=table)
    assert "no brown at all" in told_of_browns([made, made], truth)[1]


def recalls(make_record: MakeRecord, kind: Mapping[str, float], count: int = 3) -> Any:
    made = []
    for seed in range(count):
        recall = np.zeros(24)
        for name, value in kind.items():
            recall[KIND[name]] = value + 0.001 * seed
        own = make_record(replace(WRITEUP, seed=seed), classes={"recall": recall.tolist()})
        made.append(own)
    return tuple(made)


def test_grass_and_sky(make_record: MakeRecord, truth: Truth) -> None:
    records: Records = {
        "cnn": recalls(make_record, {"green": 0.3, "blue": 0.4}),
        "unet": recalls(make_record, {"green": 0.5, "blue": 0.2}),
    }
    lookup = answers.lookup_by_class("cifar10", PALETTE, 0)
    green, blue = told_of_kinds(records, truth, lookup)
    assert "UNet 50.1 ± 0.2 %" in green and "+20.0 ± 0.0 (better) points (3 seeds)" in green
    assert "-20.0 ± 0.0 (worse) points" in blue
    rows = {row[0]: row for row in color_table(records, truth, lookup).rows}
    assert rows["cnn"][8:10] == ("30.1 ± 0.2 %", "40.1 ± 0.2 %")
    assert list(rows) == ["cnn", "unet", "grey look-up", "truth"]
    level = truth.grey[np.isin(truth.classes, KIND["brown"])].mean()
    assert rows["truth"][-1] == f"{level:.1f}"
