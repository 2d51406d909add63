"""What tuning brings: equal computations score alike, finished runs are found again."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from limner.learn import fit
from limner.learn.export import load
from limner.learn.loading.sources import MaskSources, gather_masks
from limner.learn.run import Run, assemble
from limner.recipe import Recipe
from limner.studies.record import Record, read
from limner.studies.tuning import quality
from limner.studies.tuning.cost import ALL, ARMS, CACHED, LAST
from limner.studies.tuning.quality import (
    EQUAL_STEPS,
    EQUAL_TIME,
    UNTOUCHED,
    Qualities,
    carry_out,
    gains,
    qualities,
    quality_table,
    started,
    summary,
)

STEPS = 3


@pytest.fixture(scope="module")
def sources(small: Recipe) -> MaskSources:
    return gather_masks(small, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("study")
    (made / "runs").mkdir()
    return made


Once = Callable[[str], Record]


@pytest.fixture(scope="module")
def once(base: Path, small: Recipe, sources: MaskSources, folder: Path) -> Once:
    """An arm's record after STEPS steps."""
    return lambda arm: carry_out(base, small, arm, STEPS, sources, folder, 0.1)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be trained or scored."""

    def fail(*given: object) -> None:
        raise AssertionError("a run began")

    monkeypatch.setattr(fit, "fit", fail)
    monkeypatch.setattr(fit, "validate", fail)


def test_cached_and_uncached_are_the_same_computation(once: Once) -> None:
    last, cached, everything = (once(arm) for arm in (LAST, CACHED, ALL))
    assert last["scores"] == cached["scores"]
    assert last["scores"] != everything["scores"]
    assert last["trainable"] == cached["trainable"] == 8 * 3 + 3 < everything["trainable"]
    assert {record["steps"] for record in (last, cached, everything)} == {STEPS}
    told = [record["settings"]["recipe"] for record in (last, cached, everything)]
    assert [recipe["cache"] for recipe in told] == ["none", "fp32", "none"]
    assert [recipe["learn"] for recipe in told] == [["classifier.4"], ["classifier.4"], ["all"]]


def test_more_steps_are_another_result(
    once: Once, base: Path, small: Recipe, sources: MaskSources, folder: Path
) -> None:
    """The control of the test above: the scores do depend on what is learned."""
    other = carry_out(base, small, CACHED, STEPS + 3, sources, folder, 0.1)
    assert other["scores"]["loss"] < once(CACHED)["scores"]["loss"]


@pytest.mark.parametrize("arm", [UNTOUCHED, *ARMS])
def test_a_record_is_found_again(
    arm: str, once: Once, folder: Path, request: pytest.FixtureRequest
) -> None:
    made = once(arm)
    assert read(folder / "runs" / f"{made['key']}.json") == made
    request.getfixturevalue("fails")
    assert once(arm) == made


def test_the_seconds_of_a_busy_machine_are_taken_again_on_an_idle_one(
    base: Path, small: Recipe, sources: MaskSources, once: Once, folder: Path, tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    kept = tmp_path / "runs" / f"{once(LAST)['key']}.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps({**once(LAST), "load": 1.8}))
    request.getfixturevalue("fails")
    busy = carry_out(base, small, LAST, STEPS, sources, tmp_path, 2.5)
    assert busy["load"] == 1.8  # no better would come of it
    with pytest.raises(AssertionError, match="a run began"):
        carry_out(base, small, LAST, STEPS, sources, tmp_path, 0.1)


def test_the_key_changes_with_what_a_run_depends_on(
    base: Path, small: Recipe, sources: MaskSources, folder: Path, shapes: Path, once: Once,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    name = f"{once(LAST)['key']}.json"
    (tmp_path / "runs").mkdir()
    shutil.copy(folder / "runs" / name, tmp_path / "runs" / name)  # the only one
    request.getfixturevalue("fails")

    def begins(
        model: Path = base, recipe: Recipe = small, arm: str = LAST, steps: int = STEPS,
        data: MaskSources = sources,
    ) -> bool:  # fmt: skip
        try:
            carry_out(model, recipe, arm, steps, data, tmp_path, 0.1)
        except AssertionError:
            return True
        return False

    assert not begins()
    trailing = tmp_path / "other.onnx"
    trailing.write_bytes(base.read_bytes() + b"\x72\x00")  # an empty opset: another file
    assert begins(model=trailing)
    assert begins(recipe=replace(small, flip=False))
    assert begins(recipe=replace(small, seed=1))
    assert begins(arm=ALL)
    assert begins(arm=CACHED)
    assert begins(steps=STEPS + 1)
    moved = shutil.copytree(shapes, tmp_path / "moved")
    there = replace(small, data=(str(moved),), name="moved")
    assert not begins(recipe=there, data=gather_masks(there, None))
    with Image.open(moved / "train" / "masks" / "0.png") as image:
        image.point(lambda value: 1).save(moved / "train" / "masks" / "0.png")
    assert begins(recipe=there, data=gather_masks(there, None))
    monkeypatch.setitem(quality.RATES, LAST, 0.5)
    assert begins()


def test_the_key_knows_the_threads(once: Once, request: pytest.FixtureRequest) -> None:
    """The seconds depend on them."""
    once(LAST)
    request.getfixturevalue("fails")
    torch.set_num_threads(2)
    try:
        with pytest.raises(AssertionError, match="a run began"):
            once(LAST)
    finally:
        torch.set_num_threads(1)


def test_a_new_last_layer_is_drawn_for_each_seed(
    base: Path, small: Recipe, sources: MaskSources
) -> None:
    network = load(base)[0].state_dict()
    seeds = [
        started(base, replace(small, seed=seed), sources, fresh=True).state_dict()
        for seed in (0, 1, 0)
    ]
    for name, value in network.items():
        last = name.startswith("classifier.4.")
        assert torch.equal(seeds[0][name], seeds[2][name])
        assert torch.equal(seeds[0][name], seeds[1][name]) != last, name
        assert torch.equal(seeds[0][name], value) != last, name


def test_the_untouched_head_keeps_its_weights_and_its_scores(
    once: Once, base: Path, small: Recipe, sources: MaskSources, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    runs: list[Run] = []

    def kept(*given: Any) -> Run:
        runs.append(assemble(*given))
        return runs[-1]

    monkeypatch.setattr(quality, "assemble", kept)
    (tmp_path / "runs").mkdir()
    found = carry_out(base, small, UNTOUCHED, 1, sources, tmp_path, 0.1)
    assert (found["steps"], found["seconds"], found["trainable"]) == (0, 0, 0)
    for name, value in load(base)[0].named_parameters():
        assert torch.equal(value, runs[0].network.get_parameter(name))
    held = list(sources.validation(small, 4))
    scores = fit.validate(runs[0], held)
    assert found["scores"] == {name: round(value, 6) for name, value in scores.items()}
    assert found["scores"] != once(LAST)["scores"]


def test_a_stopped_run_says_how_to_go_on(
    base: Path, small: Recipe, sources: MaskSources, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    learn = fit.learn

    def interrupted(*given: Any) -> torch.Tensor:
        signal.raise_signal(signal.SIGINT)
        return learn(*given)

    monkeypatch.setattr(fit, "learn", interrupted)
    (tmp_path / "runs").mkdir()
    with pytest.raises(fit.Stopped, match=r"runs are kept, call the same study") as error:
        carry_out(base, small, LAST, STEPS, sources, tmp_path, 0.1)
    assert len(str(error.value).splitlines()) == 1
    assert "limner train" not in str(error.value)
    assert os.listdir(tmp_path / "runs") == []


def test_every_arm_is_carried_out_for_equal_steps_and_for_equal_time(
    base: Path, small: Recipe, sources: MaskSources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All: 8 s for 4 steps; the last layer takes a quarter of that a step, cached too little to
    fill the time."""
    calls = []
    seconds = {UNTOUCHED: 0.0, ALL: 2.0, LAST: 0.5, CACHED: 1e-5}

    def fake(base: Path, recipe: Recipe, arm: str, steps: int, *rest: object) -> Record:
        calls.append((arm, recipe.seed, steps))
        return {"arm": arm, "seed": recipe.seed, "steps": steps, "seconds": steps * seconds[arm]}

    monkeypatch.setattr(quality, "carry_out", fake)
    found = qualities(base, small, sources, 4, 2, tmp_path, 0.1)
    assert calls[0] == (UNTOUCHED, 0, 1)
    assert calls[1:6] == [
        (ALL, 0, 4), (LAST, 0, 4), (CACHED, 0, 4), (LAST, 0, 16), (CACHED, 0, quality.MOST_STEPS),
    ]  # fmt: skip
    assert [(arm, seed + 1, steps) for arm, seed, steps in calls[1:6]] == calls[6:]
    assert {name: len(records) for name, records in found.items()} == {
        (UNTOUCHED, ""): 1, (ALL, EQUAL_STEPS): 2, (LAST, EQUAL_STEPS): 2,
        (CACHED, EQUAL_STEPS): 2, (LAST, EQUAL_TIME): 2, (CACHED, EQUAL_TIME): 2,
    }  # fmt: skip
    assert {(r["arm"], r["steps"]) for r in found[LAST, EQUAL_TIME]} == {(LAST, 16)}
    seconds[LAST] = 100.0  # so slow that no step fits
    assert qualities(base, small, sources, 4, 1, tmp_path, 0.1)[LAST, EQUAL_TIME][0]["steps"] == 1


def test_the_table_and_the_facts_tell_the_records(
    make_qualities: Callable[..., Qualities],
) -> None:
    found = make_qualities({(LAST, EQUAL_STEPS): [0.4, 0.5, 0.6], (UNTOUCHED, ""): [0.625]})
    table = quality_table(found, 90)
    rows = {row[:2]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert rows[UNTOUCHED, "-"]["mean IoU"] == "0.625"
    last = rows[LAST, EQUAL_STEPS]
    assert (last["seeds"], last["parameters that learn"]) == (3, 20)
    assert (last["steps (mean)"], last["seconds in steps (mean)"]) == (61, "3.0")
    assert last["mean IoU"] == "0.500 ± 0.248"  # 4.303 * 0.1 / sqrt(3)
    assert (last["loss, nats"], last["accuracy"]) == ("1.000 ± 0.000", "0.750 ± 0.000")
    assert "of 90 pictures" in table.note
    assert gains(found, LAST, EQUAL_STEPS) == [0.4, 0.5, 0.6]
    facts = summary(found)
    assert list(facts)[:2] == [UNTOUCHED, f"{ALL}, {EQUAL_STEPS}"]
    assert facts[f"{LAST}, {EQUAL_STEPS}"][2] == {
        "steps": 62, "seconds": 4.0,
        "scores": {"loss": 1.0, "accuracy": 0.75, "mean_iou": 0.6},
    }  # fmt: skip
