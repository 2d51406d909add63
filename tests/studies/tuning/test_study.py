"""C1 to C5: the verdict follows the costs and the scores, and says no more than they do."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from limner import drawing
from limner.card import Model
from limner.cli import main
from limner.errors import DataError, ModelError, SplitError
from limner.recipe import Recipe
from limner.studies import catalog
from limner.studies.study import Answer
from limner.studies.tuning import cost, study
from limner.studies.tuning.cost import ALL, ARMS, CACHED, LAST, Costs
from limner.studies.tuning.quality import EQUAL_STEPS, EQUAL_TIME, UNTOUCHED, Qualities
from limner.studies.tuning.study import STUDY, check, concluded, scored_recipe, timed_recipe

ROOT = Path(__file__).parents[3]
MakeCosts = Callable[..., Costs]
MakeQualities = Callable[..., Qualities]


def conclude(costs: Costs, found: Qualities, busy: float = 0.1) -> Answer:
    return concluded(costs, found, busy, 90, {"pictures": Figure()})


def line(verdict: list[str], *parts: str) -> str:
    """The one line of the verdict that holds all of these."""
    (found,) = [one for one in verdict if all(part in one for part in parts)]
    return found


def test_the_verdict_tells_the_figures_of_the_costs(
    make_costs: MakeCosts, make_qualities: MakeQualities
) -> None:
    verdict = conclude(make_costs(), make_qualities()).verdict
    assert "the last layer has 20 of 1,000 parameters" in line(verdict, "C1, C2")
    memory = line(verdict, "C4, memory at 224 px")
    assert "all grows the process by 200.0 MB (counted 7.0)" in memory
    assert "the step itself needs 7.0 MB" in memory
    backward = line(verdict, "C4, backward over forward")
    assert "all: counted 180 %, measured 100 %" in backward
    assert "last layer: counted 100 %, measured 100 %" in backward
    compute = line(verdict, "C4, compute at 224 px")
    assert "400 ms for all, 100 ms for the last layer, 1.00 ms" in compute
    assert "4.0 and 100 times less" in compute
    assert "takes 80 ms, once for each view" in compute
    sides = line(verdict, "C5, from 224 to 448 px (pixels x 4)")
    assert "all: parameters x 1, connections x 4, seconds x 4.00, process x 2.50" in sides
    assert sides.count("seconds x 4.00") == 3
    assert not any("other processes" in one for one in verdict)


def test_the_verdict_follows_other_costs(
    make_costs: MakeCosts, make_qualities: MakeQualities
) -> None:
    slow = {"forward": [3.0] * 3, "backward": [1.0] * 3, "peak": None}
    verdict = conclude(make_costs({(LAST, 224): slow}), make_qualities()).verdict
    assert "0.1 and 4,000 times less" in line(verdict, "C4, compute")
    assert "last layer alone by - " in line(verdict, "C4, memory")
    assert "last layer: counted 100 %, measured 33.3 %" in line(verdict, "C4, backward")
    sides = line(verdict, "C5")
    assert "last layer: parameters x 1, connections x 4, seconds x 0.10, process x -" in sides


@pytest.mark.parametrize(
    ("ious", "weighed", "says"),
    [
        ([0.6, 0.61, 0.62], "+0.110 ± 0.025 (better)", "it gains on the head that was deleted"),
        ([0.4, 0.41, 0.42], "-0.090 ± 0.025 (worse)", "a new head gains nothing"),
        ([0.4, 0.5, 0.6], "+0.000 ± 0.248 (not told apart)", "no gain of a new head can be told"),
    ],
)
def test_the_untouched_head_is_beside_the_new_one(
    ious: list[float], weighed: str, says: str, make_costs: MakeCosts,
    make_qualities: MakeQualities,
) -> None:  # fmt: skip
    found = make_qualities({(LAST, EQUAL_STEPS): ious})
    said = line(conclude(make_costs(), found).verdict, "the head that was deleted has")
    assert "a mean IoU of 0.500" in said
    assert weighed in said
    others = ("it gains on", "gains nothing", "no gain")
    assert [word for word in others if word in said] == [word for word in others if word in says]


def test_arms_are_compared_with_all_of_the_network(
    make_costs: MakeCosts, make_qualities: MakeQualities
) -> None:
    found = make_qualities(
        {
            (ALL, EQUAL_STEPS): [0.7, 0.71, 0.72],
            (LAST, EQUAL_STEPS): [0.6, 0.61, 0.62],
            (CACHED, EQUAL_TIME): [0.8, 0.81, 0.82],
            (LAST, EQUAL_TIME): [0.71, 0.72, 0.70],
        }
    )
    verdict = conclude(make_costs(), found).verdict
    assert "-0.100 ± 0.000 (worse)" in line(verdict, f"after {EQUAL_STEPS}, {LAST} less all")
    assert "+0.100 ± 0.000 (better)" in line(verdict, f"after {EQUAL_TIME}, {CACHED} less all")
    assert "(not told apart)" in line(verdict, f"after {EQUAL_TIME}, {LAST} less all")
    assert "(worse)" in line(verdict, f"after {EQUAL_STEPS}, {CACHED} less all")


def test_one_seed_is_no_finding(make_costs: MakeCosts, make_qualities: MakeQualities) -> None:
    found = make_qualities({(LAST, EQUAL_STEPS): [0.9], (CACHED, EQUAL_TIME): [0.1]}, seeds=1)
    verdict = conclude(make_costs(), found).verdict
    scored = [one for one in verdict if one.startswith("C3")]
    assert len(scored) == 5
    assert all("one seed, no finding" in one for one in scored)
    assert not any(re.search(r"better|worse|gain|±", one) for one in scored)


def test_a_busy_machine_is_said(make_costs: MakeCosts, make_qualities: MakeQualities) -> None:
    answer = conclude(make_costs(), make_qualities(), busy=2.5)
    assert "C3 to C5: 2.5 other processes ran" in answer.verdict[-1]
    timed = re.compile(r"\bms\b|seconds x|measured \d")
    assert not any(timed.search(one) for one in answer.verdict)
    assert not any(f"after {EQUAL_TIME}" in one for one in answer.verdict)
    alone = conclude(make_costs(), make_qualities()).verdict
    assert sum(f"after {EQUAL_TIME}" in one for one in alone) == 2
    assert sum(bool(timed.search(one)) for one in alone) == 3
    assert "Processes beside: 2.50" in answer.tables["costs"].note
    assert answer.facts["load"] == 2.5


def test_every_figure_of_the_verdict_stands_in_the_tables(
    make_costs: MakeCosts, make_qualities: MakeQualities
) -> None:
    answer = conclude(make_costs(), make_qualities())
    assert set(answer.tables) == {"costs", "scores"}
    assert [row[:2] for row in answer.tables["costs"].rows][::2] == [(arm, 224) for arm in ARMS]
    assert answer.tables["scores"].rows[0][0] == UNTOUCHED
    assert set(answer.facts["costs"]) == {f"{arm}, {side}" for arm in ARMS for side in (224, 448)}
    assert answer.facts["costs"][f"{ALL}, 224"]["counted"]["parameters"] == 1000
    assert drawing.render(answer.figures["mean-iou"], "svg")


# ---- what is run


@pytest.fixture
def embedded(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small model in place of the embedded one."""
    monkeypatch.setattr("limner.weights.path", lambda name: base)


def test_what_is_timed_is_the_writeups() -> None:
    recipe = timed_recipe()
    assert (recipe.network, recipe.encoder) == ("deeplabv3", "resnet101")
    assert (recipe.learn, recipe.size) == (("classifier.4",), 224)
    assert study.SIDES == (224, 448)


def test_what_is_scored_is_the_models_network_on_what_it_has_not_seen(
    base: Path, shapes: Path
) -> None:
    recipe = scored_recipe(base, str(shapes))
    arguments = Model(base).card.network["arguments"]
    assert (recipe.encoder, recipe.width) == (arguments["encoder"], arguments["width"])
    assert (recipe.learn, recipe.data) == (("classifier.4",), (str(shapes),))
    assert (recipe.cache, recipe.views > 0) == ("none", True)
    theirs = Recipe.load(ROOT / "recipes" / "voc.toml")
    assert (theirs.holdout, theirs.split, theirs.pictures) == (
        recipe.holdout, recipe.split, recipe.pictures,
    )  # fmt: skip
    assert theirs.sets()[0][0] == STUDY.data


def test_the_study_is_in_the_catalog() -> None:
    assert catalog.study("tuning") is STUDY
    assert STUDY.data == "voc"
    assert STUDY.questions == ("C1", "C2", "C3", "C4", "C5")


@pytest.mark.usefixtures("embedded")
def test_data_that_will_not_do_are_refused(shapes: Path, tmp_path: Path) -> None:
    check(str(shapes))
    bare = shutil.copytree(shapes, tmp_path / "bare")
    shutil.rmtree(bare / "val" / "masks")
    (bare / "val" / "masks").mkdir()
    other = shutil.copytree(shapes, tmp_path / "other")
    (other / "classes.txt").write_text("nothing\nring\nbar\n")
    half = shutil.copytree(shapes, tmp_path / "half")
    shutil.rmtree(half / "val")
    for folder, kind, says in (
        (bare, DataError, "3 of 3 pictures have no mask"),
        (other, DataError, "its classes are nothing, ring, bar, and base says nothing, disc, bar"),
        (half, SplitError, "no split 'val'"),
        (tmp_path / "nowhere", DataError, "no folder of that name"),
    ):
        with pytest.raises(kind, match=says) as error:
            check(str(folder))
        assert len(str(error.value).splitlines()) == 1


def test_a_limner_without_the_model_says_so(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.weights.names", lambda: ())
    with pytest.raises(ModelError, match="voc: neither a model's file nor"):
        check(str(shapes))


@pytest.mark.usefixtures("embedded")
def test_the_command_answers_from_end_to_end(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def timed() -> Recipe:
        return replace(real_timed(), encoder="timm/test_efficientnet", width=8)

    @cache
    def measured(recipe: Recipe, sides: tuple[int, ...], steps: int) -> Costs:
        """In this process: another one for each arm takes seconds."""
        return {
            (arm, side): cost.measure(
                replace(recipe, size=side, learn=cost.learned(recipe, arm)), arm == CACHED, steps
            )
            for side in sides
            for arm in ARMS
        }

    def scored(base: Path, data: str) -> Recipe:
        return replace(real_scored(base, data), size=32, batch=4, views=2, holdout=2)

    real_timed, real_scored = timed_recipe, scored_recipe
    monkeypatch.setattr(study, "timed_recipe", timed)
    monkeypatch.setattr(study, "scored_recipe", scored)
    monkeypatch.setattr(study, "costs", measured)
    monkeypatch.setattr(study, "QUICK_TUNED", 2)
    monkeypatch.setattr("limner.studies.tuning.quality.MOST_STEPS", 4)
    monkeypatch.setattr("limner.studies.tuning.pictures.SHOWN", 1)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))

    def run(*more: str) -> list[str]:
        call = ["study", "tuning", "--quick", "--data", str(shapes), "-o", str(tmp_path), *more]
        assert main(call) == 0
        printed = capsys.readouterr()
        assert "tuning: measures now, for about 4 min" in printed.err
        return printed.out.splitlines()

    *verdict, folder = run()
    assert folder == str(tmp_path)
    document = json.loads((tmp_path / "result.json").read_text(), parse_constant=no_number)
    assert document["verdict"] == verdict
    assert verdict[-1].startswith("A quick look (pictures of 32 and 64 px to time, 2 steps to")
    assert {one.split(":")[0].split(",")[0] for one in verdict[:-1]} == {"C1", "C3", "C4", "C5"}
    for name in ("costs", "scores"):
        assert (tmp_path / f"{name}.md").read_text().count("\n| ") == 1 + 6
        assert len((tmp_path / f"{name}.csv").read_text().splitlines()) == 1 + 6
    for name in ("mean-iou", "pictures"):
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
        assert (tmp_path / f"{name}.svg").is_file()
    assert "The command draws rows of pictures" in (tmp_path / "README.md").read_text()
    records = {file.name for file in (tmp_path / "runs").iterdir()}
    assert 4 <= len(records) <= 6  # for equal time as many steps may come out as for equal steps

    def fail(*given: Any) -> None:
        raise AssertionError("a run began")

    monkeypatch.setattr("limner.learn.fit.fit", fail)
    assert len(run()) == len(verdict) + 1
    assert {file.name for file in (tmp_path / "runs").iterdir()} == records


def no_number(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")
