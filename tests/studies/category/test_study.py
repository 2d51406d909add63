"""Categories: the verdict follows records and look-ups, each category on its own pictures."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limner import drawing
from limner.dataset import CIFAR_CLASSES
from limner.studies import answers
from limner.studies.category.answers import PICTURES, Category, categories_of, part, spec_of
from limner.studies.category.study import (
    ALL_HORSES,
    STUDY,
    answer,
    plan,
    told_of_common,
    told_of_difficulty,
    told_of_own,
)
from limner.studies.record import Record, palette_of
from limner.studies.study import WRITEUP, Records, Setting

MakeRecord = Callable[..., Record]
MakeRecords = Callable[..., Records]
PALETTE = palette_of(WRITEUP)


@pytest.fixture
def setting(tmp_path: Path, every_category: str) -> Setting:
    return Setting(every_category, False, tmp_path)


def looked_up(setting: Setting, name: str) -> float:
    simple = answers.simple_answers(spec_of(setting, name), PALETTE, PICTURES)
    return simple["grey look-up"]["loss"]


def made(
    setting: Setting, make_records: MakeRecords, own: Mapping[str, float], common: float = 0.0,
    spread: float = 0.01,
) -> Records:  # fmt: skip
    """Networks with these losses, and a common one whose loss is each category's plus `common`."""
    arms = plan(setting)
    scores = {name: {"loss": loss} for name, loss in own.items()}
    records = dict(make_records(arms, scores, spread))
    alls = []
    for seed, record in enumerate(records["all"]):
        for name, scored in zip(CIFAR_CLASSES, record["sets"].values(), strict=True):
            own_loss = answers.values([records[name][seed]], "loss")[0]
            scored["scores"]["loss"] = own_loss + common + 0.001 * seed
        alls.append(record)
    records["all"] = tuple(alls)
    return records


def categories(setting: Setting, records: Records) -> list[Category]:
    return categories_of(setting, records, PALETTE)


def test_the_arms_are_those_of_the_finished_runs(setting: Setting) -> None:
    arms = plan(setting)
    assert list(arms) == [*CIFAR_CLASSES, "all", ALL_HORSES]
    assert all(len(recipes) == 3 for recipes in arms.values())
    for name in CIFAR_CLASSES:
        recipe = arms[name][0]
        assert recipe.data == (spec_of(setting, name),)
        assert (recipe.pictures, recipe.steps, recipe.validate) == (1000, 500, 50)
        assert recipe.shuffle
    assert arms["all"][0].data == tuple(spec_of(setting, name) for name in CIFAR_CLASSES)
    assert arms[ALL_HORSES][0].pictures == 0
    quick = plan(replace(setting, quick=True))
    assert ALL_HORSES not in quick and quick["cat"][0].steps == 30


def test_hard_for_both_or_for_one(setting: Setting, make_records: MakeRecords) -> None:
    lookups = {name: looked_up(setting, name) for name in CIFAR_CLASSES}
    same = made(setting, make_records, {name: loss + 0.5 for name, loss in lookups.items()})
    said = told_of_difficulty(categories(setting, same))
    assert "what is hard for the look-up is hard for the network" in said
    assert "10 categories 1.00 (p = 0.000;" in said and "mean of 3 seeds" in said
    hardest, easiest = max(lookups, key=lookups.__getitem__), min(lookups, key=lookups.__getitem__)
    assert f"least for {easiest}" in said and f"most for {hardest}" in said
    turned = made(setting, make_records, {name: 5 - loss for name, loss in lookups.items()})
    said = told_of_difficulty(categories(setting, turned))
    assert "what is hard for the look-up is easy for the network" in said
    order = sorted(lookups, key=lookups.__getitem__)
    mixed = dict(zip(order, (1.3, 1.9, 1.4, 1.7, 1.6, 1.5, 1.8, 1.35, 1.85, 1.45), strict=True))
    said = told_of_difficulty(categories(setting, made(setting, make_records, mixed)))
    assert "which category is hard is not supported" in said


def test_what_differs_beside_the_lookup(setting: Setting, make_records: MakeRecords) -> None:
    lookups = {name: looked_up(setting, name) for name in CIFAR_CLASSES}
    same = {name: loss + 0.5 for name, loss in lookups.items()}
    noisy = {name: {"loss": [loss, loss + 0.02, loss - 0.01]} for name, loss in same.items()}
    noisy["cat"] = {"loss": [same["cat"] + 0.01, same["cat"] + 0.05, same["cat"]]}
    arms = plan(setting)
    said = told_of_own(categories(setting, make_records(arms, noisy)))
    assert "a part of what differs between categories is the look-up's" in said
    assert "loss is +0.50" in said and "(worse)" in said
    turned = {name: 5 - loss for name, loss in lookups.items()}
    noisy = {name: {"loss": [loss, loss * 1.01, loss * 0.99]} for name, loss in turned.items()}
    said = told_of_own(categories(setting, make_records(arms, noisy)))
    assert "the look-up does not explain the differences" in said


@pytest.mark.parametrize(("common", "words"), [(0.2, "worse for"), (-0.2, "better for")])
def test_one_network_for_all(
    common: float, words: str, setting: Setting, make_records: MakeRecords
) -> None:
    records = made(setting, make_records, dict.fromkeys(CIFAR_CLASSES, 1.4), common)
    said = told_of_common(categories(setting, records))[0]
    assert f"loss {common + 0.001:+.3f} ± 0.002" in said
    assert f"{words} {', '.join(CIFAR_CLASSES)} (of ten" in said
    assert "not told apart" not in said


def test_each_set_of_the_common_network_is_its_own_category(
    setting: Setting, make_record: MakeRecord
) -> None:
    recipe = plan(setting)["all"][0]
    losses = {spec: {"loss": 1.0 + place} for place, spec in enumerate(recipe.data)}
    record = make_record(recipe, sets=losses)
    for place, spec in enumerate(recipe.data):
        only = part(record, place)
        assert list(only["sets"]) == [spec]
        assert answers.values([only], "loss") == [1.0 + place]
    assert len(record["sets"]) == 10


def test_the_common_lookup_is_counted_on_all(setting: Setting, make_records: MakeRecords) -> None:
    found = categories(setting, make_records(plan(setting), {}))
    by_hand = np.full((256, 24), 0.1)
    for name in CIFAR_CLASSES:
        train = answers.truth_of(spec_of(setting, name), "train", PALETTE)
        np.add.at(by_hand, (train.grey.ravel(), train.classes.ravel()), 1)
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    for one in found:
        truth = answers.truth_of(one.spec, "val", PALETTE)
        loss = -np.log(by_hand[truth.grey, truth.classes]).mean()
        assert one.common_lookup["loss"] == pytest.approx(loss, abs=1e-5)
        assert one.lookup["loss"] == pytest.approx(looked_up(setting, one.name))


def test_the_whole_answer(setting: Setting, make_records: MakeRecords) -> None:
    records = make_records(
        plan(setting), {"horse": {"loss": 1.5}, ALL_HORSES: {"loss": [1.4, 1.39, 1.42]}}
    )
    found = answer(setting, records)
    (horses,) = [line for line in found.verdict if line.startswith("Horses, ")]
    assert "(better)" in horses and "(3 seeds)" in horses
    rows = {row[0]: row for row in found.tables["categories"].rows}
    assert list(rows) == list(CIFAR_CLASSES)
    assert rows["horse"][3] == "1.500 ± 0.012"
    assert rows["horse"][1] == 1  # its own validation pictures
    kinds = [row[1] for row in found.tables["scores"].rows if row[0] == "horse"]
    assert kinds == [
        "own network", "common network", "own network, all pictures", "majority class",
        "grey look-up", "best possible",
    ]  # fmt: skip
    assert set(found.figures) == {
        "beside-lookup", "common", "training-loss", "validation-loss", "pictures",
    }  # fmt: skip
    assert drawing.render(found.figures["common"], "png").startswith(b"\x89PNG")
    assert found.facts["horse"]["lookup"] == pytest.approx(looked_up(setting, "horse"))
    assert STUDY.answer is answer


def test_a_quick_answer_is_no_finding(setting: Setting, make_records: MakeRecords) -> None:
    quick = replace(setting, quick=True)
    scores = {name: {"loss": 1.4 + 0.01 * place} for place, name in enumerate(CIFAR_CLASSES)}
    found = answer(quick, make_records(plan(quick), scores))
    assert "quick look" in found.verdict[-1]
    for line in found.verdict[:3]:
        assert "no finding" in line
    assert not any(line.startswith("Horses, ") for line in found.verdict)
