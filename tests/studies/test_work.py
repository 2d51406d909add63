"""One run from its recipe to its record: complete, the same whether it stopped or not."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from limner.dataset import find
from limner.learn import fit
from limner.learn.loading.batches import Batch
from limner.learn.run import Run
from limner.recipe import Recipe
from limner.studies import work
from limner.studies.record import Record, key, palette_of, read, unpack
from limner.studies.scoring import Truth
from limner.studies.study import WRITEUP

TINY = replace(WRITEUP, network="cnn", NF=4, batch=8, epochs=3)  # 31 horses: 12 steps
TWO = replace(TINY, data=("cifar10:horse", "cifar10:cat"), epochs=0, steps=4, pictures=1, batch=2)


def carry_out(recipe: Recipe, folder: Path) -> Record:
    """The record of the run, done in this process."""
    for part in ("unfinished", "runs"):
        (folder / part).mkdir(exist_ok=True, parents=True)
    work.carry_out(recipe, folder / "unfinished", folder / "runs")
    return read(folder / "runs" / f"{key(recipe)}.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Record:
    """The record of a run that never stopped."""
    return carry_out(TINY, folder)


def test_a_record_tells_what_it_is_of(whole: Record, folder: Path) -> None:
    assert list((folder / "unfinished").iterdir()) == []
    assert whole["key"] == key(TINY)
    settings = {**whole["settings"], "name": TINY.name, "palette": TINY.palette}
    assert Recipe.from_dict(settings) == TINY
    assert whole["palette"] == palette_of(TINY).to_json()
    described = whole["data"]["cifar10:horse"]
    assert described["fingerprint"] == find("cifar10:horse", "train").fingerprint()
    assert (described["pictures"], whole["steps"], whole["threads"]) == (31, 12, 1)
    assert whole["precision"] == "fp32"
    assert whole["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert whole["training"]["step"][-1] == whole["validation"]["step"][-1] == 12
    assert len(whole["validation"]["loss"]) == len(whole["validation"]["accuracy"]) == 3
    assert {"limner", "torch", "machine", "commit"} <= set(whole)
    assert len(json.dumps(whole)) < 20_000


@pytest.mark.parametrize("change", [{}, {"scale": -2.0, "shift": 1.5}], ids=["x", "affine"])
def test_the_scores_are_those_of_the_last_validation(
    change: dict[str, float], tmp_path: Path
) -> None:
    """torch scored there, numpy scores here: the same weights on the same input."""
    made = carry_out(replace(TINY, epochs=1, **change), tmp_path)  # type: ignore[arg-type]
    scores = made["sets"]["cifar10:horse"]["scores"]
    assert scores["loss"] == pytest.approx(made["validation"]["loss"][-1], abs=2e-5)
    assert scores["accuracy"] == pytest.approx(made["validation"]["accuracy"][-1], abs=2e-4)


def test_the_pictures_are_the_likeliest_classes(whole: Record) -> None:
    """All 8 validation pictures are kept, so that the record's own scores can be counted again."""
    shown = unpack(whole["pictures"])
    images = find("cifar10:horse", "val").images
    assert images is not None
    truth = Truth(images, palette_of(TINY))
    assert shown.shape == truth.classes.shape == (8, 32, 32)
    held = whole["sets"]["cifar10:horse"]
    assert held["n"] == 8
    assert (shown == truth.classes).mean() == pytest.approx(held["scores"]["accuracy"], abs=1e-6)
    assert len(np.unique(shown)) == held["scores"]["colors"]
    shares = np.bincount(shown.ravel(), minlength=24) / shown.size
    assert held["classes"]["predicted"] == pytest.approx(shares.tolist(), abs=1e-5)


def test_a_run_that_was_stopped_leaves_the_same_record(
    whole: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = fit.learn

    def stop_at_5(run: Run, batch: Batch) -> torch.Tensor:
        if run.step == 5:
            signal.raise_signal(signal.SIGTERM)
        return learn(run, batch)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "learn", stop_at_5)
        with pytest.raises(fit.Stopped):
            carry_out(TINY, tmp_path)
    assert list((tmp_path / "runs").iterdir()) == []
    assert [path.name for path in (tmp_path / "unfinished").iterdir()] == [key(TINY)]

    learned = []

    def count(run: Run, batch: Batch) -> torch.Tensor:
        learned.append(run.step)
        return learn(run, batch)

    monkeypatch.setattr(fit, "learn", count)
    again = carry_out(TINY, tmp_path)
    assert learned == list(range(6, 12))
    expected = dict(whole)
    for name in ("seconds", "commit"):  # somebody may commit meanwhile
        del again[name], expected[name]
    assert again == expected


def test_another_seed_leaves_another_record(whole: Record, tmp_path: Path) -> None:
    other = carry_out(replace(TINY, seed=1), tmp_path)
    assert other["key"] != whole["key"]
    assert other["validation"]["loss"] != whole["validation"]["loss"]
    assert other["data"] == whole["data"]


def test_each_set_has_its_own_scores(tmp_path: Path) -> None:
    made = carry_out(TWO, tmp_path)
    assert {spec: one["n"] for spec, one in made["sets"].items()} == {
        "cifar10:horse": 8,
        "cifar10:cat": 1,
    }
    horse, cat = (one["scores"]["loss"] for one in made["sets"].values())
    assert horse != cat
    assert (8 * horse + cat) / 9 == pytest.approx(made["validation"]["loss"][-1], abs=2e-5)
    assert unpack(made["pictures"]).shape == (8, 32, 32)  # of the first set
