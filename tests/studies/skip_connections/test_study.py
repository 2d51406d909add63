"""A2, B3: the verdict follows the records' figures, and the tables hold them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from limner import drawing
from limner.studies.seeds import over_seeds, told
from limner.studies.skip_connections.study import STUDY, answer, plan, told_of_unet, told_of_width
from limner.studies.study import Records, Setting

MakeRecords = Callable[..., Records]
LOOKUP = {"loss": 0.9, "accuracy": 0.62, "ab_error": 13.2}


def test_the_arms_are_those_of_the_finished_runs(setting: Setting) -> None:
    arms = plan(setting)
    assert [len(arms[name]) for name in ("unet", "cnn", "wide cnn")] == [5, 5, 5]
    subsets = {name: {r.skips for r in arms[name]} for name in arms if name.startswith("skips")}
    assert len(subsets) == 6 and all(len(arms[name]) == 3 for name in subsets)
    assert all(skips == {name.removeprefix("skips ")} for name, skips in subsets.items())
    assert (arms["wide cnn"][0].NF, arms["unet"][0].skips) == (37, None)
    assert len(arms) == 3 + 6 + 8
    quick = plan(replace(setting, quick=True))
    assert [len(quick["unet"]), len(quick["skips b1"])] == [2, 1]


@pytest.mark.parametrize(
    ("unet", "words"), [(1.35, "(better)"), (1.85, "(worse)"), ([1.5, 1.7, 1.6, 1.6, 1.6], "not")]
)
def test_unet_beside_cnn(
    unet: float | list[float], words: str, setting: Setting, make_records: MakeRecords
) -> None:
    cnn = [1.61, 1.59, 1.6, 1.58, 1.62]
    records = make_records(plan(setting), {"unet": {"loss": unet}, "cnn": {"loss": cnn}})
    said = told_of_unet(records, LOOKUP)[0]
    assert "loss " in said and words in said.partition("accuracy")[0]


def test_the_lookup_is_better_until_it_is_not(setting: Setting, make_records: MakeRecords) -> None:
    scores = {"unet": {"loss": 1.35, "accuracy": 0.49, "ab_error": 12.2}}
    said = told_of_unet(make_records(plan(setting), scores), LOOKUP)[1]
    assert "loss +0.450 ± 0.005 (worse)" in said
    assert "accuracy -0.130 ± 0.005 (worse)" in said
    assert "ab error of the expected color -1.00 ± 0.00 (better)" in said


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ((1.6, 1.61, 1.35), "more parameters explain at most 0 % of it"),
        ((1.6, [1.5, 1.69, 1.55, 1.62, 1.6], 1.35), "more parameters explain at most "),
        ((1.6, 1.5, 1.35), "more parameters explain about 40 % of it"),
        ((1.6, 1.35, [1.36, 1.34, 1.35, 1.35, 1.35]), "nothing is left that could be told"),
        ((1.6, 1.5, 1.65), "nothing to explain"),
    ],
)
def test_more_parameters(
    losses: tuple[float, float | list[float], float | list[float]], words: str,
    setting: Setting, make_records: MakeRecords,
) -> None:  # fmt: skip
    names = ("cnn", "wide cnn", "unet")
    scores = {name: {"loss": loss} for name, loss in zip(names, losses, strict=True)}
    assert words in told_of_width(make_records(plan(setting), scores))


def test_the_whole_answer(setting: Setting, make_records: MakeRecords) -> None:
    records = make_records(plan(setting), {"unet": {"loss": 1.35}, "cnn": {"loss": 1.6}})
    found = answer(setting, records)
    numbers = {line.split(":")[0] for line in found.verdict}
    assert {"A2", "B3 i, ii", "B3 iii", "B3 iv", "B3 v"} <= numbers
    assert any("palette is limner's own" in line for line in found.verdict)
    assert not any("quick look" in line for line in found.verdict)
    rows = {row[0]: row for row in found.tables["scores"].rows}
    loss = [run["sets"]["cifar10"]["scores"]["loss"] for run in records["unet"]]
    assert rows["unet"][3] == told(over_seeds(loss))
    assert list(rows)[-3:] == ["majority class", "grey look-up", "best possible"]
    assert found.facts["main_effects"]["b1"] == pytest.approx([-0.05 / 4 - 0.2 / 4] * 3, abs=0.02)
    assert {"training-loss", "validation-loss", "loss", "pictures"} == set(found.figures)
    assert drawing.render(found.figures["validation-loss"], "png").startswith(b"\x89PNG")
    assert STUDY.answer is answer and STUDY.questions == ("A2", "B3")


def test_a_quick_answer_is_a_quick_look(setting: Setting, make_records: MakeRecords) -> None:
    quick = replace(setting, quick=True)
    found = answer(quick, make_records(plan(quick), {}))
    assert "quick look" in found.verdict[-1]
    assert {row[0] for row in found.tables["search"].rows} >= {"cnn", "wide cnn"}
