"""The search finds what is near both figures, and says so when nothing is."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from limner.studies.batch_size import study as batch_size
from limner.studies.record import Record
from limner.studies.skip_connections.study import plan
from limner.studies.skip_connections.writeup_cnn import (
    candidates,
    curve,
    near,
    search,
    table,
    told_of_epoch,
    verdict,
)
from limner.studies.study import WRITEUP, Records, Setting

MakeRecord = Callable[..., Record]
MakeRecords = Callable[..., Records]


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting("cifar10", False, tmp_path / "skip-connections")


def test_near_needs_both() -> None:
    assert near(1.87, 0.345) and near(1.79, 0.315)
    assert not near(1.89, 0.33)
    assert not near(1.83, 0.355)


def test_what_was_searched_is_one_change_each() -> None:
    recipes = search(WRITEUP)
    assert len(recipes) <= 8
    for recipe in recipes.values():
        changed = [k for k, v in recipe.to_dict().items() if v != WRITEUP.to_dict().get(k)]
        assert len(changed) == 1


def test_found_and_not_found(setting: Setting, make_records: MakeRecords) -> None:
    arms = plan(setting)
    none = candidates(setting, make_records(arms, {"cnn, NF 8": {"loss": 1.8, "accuracy": 0.36}}))
    said = verdict(none)[0]
    assert "none of the 10 settings" in said
    assert "cnn, NF 8 (1.800, 0.360; 1 seed)" in said
    scores = {"cnn, NF 8": {"loss": 1.85, "accuracy": 0.34}}
    found = verdict(candidates(setting, make_records(arms, scores)))[0]
    assert "found within 0.05 and 0.02: cnn, NF 8 (1.850, 0.340; 1 seed)" in found
    assert "One seed is a candidate, no finding." in found
    scores = {"wide cnn": {"loss": 1.85, "accuracy": 0.34}}
    several = verdict(candidates(setting, make_records(arms, scores)))[0]
    assert "found within" in several and "One seed" not in several


def test_larger_batches_are_taken_if_they_are_there(
    setting: Setting, make_records: MakeRecords, make_record: MakeRecord
) -> None:
    records = make_records(plan(setting), {})
    assert not any("batch" in name for name in candidates(setting, records))
    large = batch_size.plan(setting)["cnn, 1000, equal epochs"][1]
    made = make_record(large, {"loss": 1.83, "accuracy": 0.33})
    runs = setting.folder.parent / "batch-size" / "runs"
    runs.mkdir(parents=True)
    (runs / f"{made['key']}.json").write_text(json.dumps(made))
    tried = candidates(setting, records)
    assert [name for name in tried if "batch" in name] == ["cnn, batch 1000"]
    assert "cnn, batch 1000 (1.830, 0.330; 1 seed)" in verdict(tried)[0]


def curves(make_record: MakeRecord, *losses: list[float], accuracy: float) -> list[Record]:
    runs = [
        make_record(replace(WRITEUP, seed=seed), {"accuracy": accuracy}, validation=loss)
        for seed, loss in enumerate(losses)
    ]
    return runs


def test_the_epoch_that_passes(make_record: MakeRecord) -> None:
    runs = curves(make_record, [2.2, 1.9, 1.7, 1.6], [2.1, 1.8, 1.7, 1.5], accuracy=0.33)
    found = curve(runs)
    assert found is not None
    assert (found.passes, found.first, found.last, found.both) == (3, 2, 3, [2])
    said = told_of_epoch(runs)
    assert "passes 1.83 after epoch 3 of 4 (by seed: 2 to 3; mean over 2 seeds)" in said
    assert "stopped after epoch 2 (1.850, 0.330)" in said
    assert "One seed" not in said


def test_the_loss_without_the_accuracy(make_record: MakeRecord) -> None:
    runs = curves(make_record, [2.2, 1.83, 1.6], accuracy=0.4)
    said = told_of_epoch(runs)
    assert "at no epoch are both figures near" in said
    assert said.endswith("One seed is no finding.")


def test_a_loss_that_is_never_reached(make_record: MakeRecord) -> None:
    runs = curves(make_record, [2.2, 1.9], [2.2, 1.7], accuracy=0.33)
    assert curve(runs) is None
    assert "does not reach a loss of 1.83 in every seed" in told_of_epoch(runs)


def test_the_table_holds_the_records_figures(setting: Setting, make_records: MakeRecords) -> None:
    scores = {"cnn, k 1": {"loss": 1.84, "accuracy": 0.34, "colors": 9}}
    tried = candidates(setting, make_records(plan(setting), scores))
    rows = {row[0]: row for row in table(tried, {"grey look-up": {"loss": 0.909}}).rows}
    assert rows["grey look-up"][2:6] == ("0.909", "-", "-", "-")
    assert rows["cnn, k 1"][1:6] == (1, "1.840", "0.340", "yes", "9")
    assert rows["cnn"][4] == "no"
    assert any(name.startswith("cnn, after epoch ") for name in rows)
