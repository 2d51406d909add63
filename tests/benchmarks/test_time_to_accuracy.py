"""The speedrun's document: its keys are a contract, its ratios follow from its own figures."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from limner.recipe import Recipe

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data"
LOOKUP = {"loss": 0.9, "accuracy": 0.62, "ab_error": 13.0}


@pytest.fixture(scope="module")
def speedrun() -> Iterator[ModuleType]:
    """benchmarks/time_to_accuracy.py on the sample's 31 horses, with one thread."""
    path = ROOT / "benchmarks" / "time_to_accuracy.py"
    spec = importlib.util.spec_from_file_location("time_to_accuracy", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMNER_DATA", str(SAMPLE))
        patch.setitem(sys.modules, spec.name, module)  # its dataclasses look there
        spec.loader.exec_module(module)
        yield module
    torch.set_num_threads(threads)


def test_the_document(
    speedrun: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = speedrun.recipe_of
    monkeypatch.setattr(
        speedrun, "recipe_of",
        lambda name, data: replace(real(name, data), epochs=3 if name == "unet" else 1, warmup=0),
    )  # fmt: skip
    monkeypatch.setattr(speedrun, "SHORT", (1,))
    monkeypatch.setattr(speedrun.machine, "matrix_peak", lambda precision: 1e9)
    monkeypatch.setattr(sys, "argv", ["time_to_accuracy.py", "--seeds", "2", "--json"])
    speedrun.main()
    document = json.loads(capsys.readouterr().out)
    assert {
        "writeup", "ours", "ratio", "epochs_ratio", "step_ratio", "within_budget", "until_lookup",
        "lookup", "seeds", "peak",
    } <= set(document)  # fmt: skip
    for name in ("writeup", "ours"):
        assert {"seconds", "loss", "accuracy"} <= set(document[name])
    assert {"seconds", "loss", "accuracy", "ab_error"} <= set(document["within_budget"])
    assert set(document["lookup"]) == {"loss", "accuracy", "ab_error"}
    assert set(document["peak"]) == {"fp32_gflops", "bf16_gflops", "step_gflops"}
    assert document["peak"]["fp32_gflops"] == pytest.approx(2)
    assert document["epochs_ratio"] == 3
    low, high = document["intervals"]["ratio"]
    assert low <= document["ratio"] <= high
    share = document["within_budget"]["seconds"] / document["writeup"]["seconds"]
    assert document["within_budget"]["share_of_the_time"] == pytest.approx(share)
    assert (document["seeds"], document["threads"]) == (2, 1)


def test_the_document_of_the_second_table(
    speedrun: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, train = speedrun.recipe_of, speedrun.train
    monkeypatch.setattr(
        speedrun, "recipe_of", lambda name, data: replace(real(name, data), epochs=1, warmup=0)
    )
    monkeypatch.setattr(speedrun, "OTHERS", ("cat", "dog"))
    begun: list[dict[str, torch.Tensor]] = []

    def kept(recipe: Recipe, seed: int, precision: str, begin: dict[str, torch.Tensor]) -> object:
        begun.append({name: value.clone() for name, value in begin.items()})
        return train(recipe, seed, precision, begin)

    monkeypatch.setattr(speedrun, "train", kept)
    monkeypatch.setattr(
        sys, "argv", ["time_to_accuracy.py", "--seeds", "2", "--pretrained", "--json"]
    )
    speedrun.main()
    document = json.loads(capsys.readouterr().out)
    assert document["pretraining"]["pictures"] == 2
    assert {"seconds", "loss", "accuracy", "ab_error"} <= set(document["pretrained"])
    assert set(document["lookup"]) == {"loss", "accuracy", "ab_error"}
    # Every seed begins from the same weights, which learning from the others has changed.
    first, second = begun
    assert all(torch.equal(first[name], value) for name, value in second.items())
    recipe = speedrun.recipe_of("horses", "cifar10")
    fresh = speedrun.build(recipe, speedrun.gather(recipe, None).palette, pretrained=False)
    assert not all(torch.equal(first[name], p) for name, p in fresh.named_parameters())


@pytest.mark.parametrize(
    ("worse", "steps"), [(None, 50), ("loss", None), ("accuracy", None), ("ab_error", None)]
)
def test_the_lookup_is_beaten_in_all_three_scores_or_not_at_all(
    worse: str | None, steps: int | None, speedrun: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first length is as good as the look-up, which is no better."""

    def train(recipe: Recipe, seed: int, precision: str) -> object:
        better = {"loss": 0.8, "accuracy": 0.63, "ab_error": 12.9}
        scores = LOOKUP if recipe.steps == 25 else better
        if worse is not None:
            scores = {**scores, worse: LOOKUP[worse]}
        return speedrun.Trial(1.0 + seed, recipe.steps, 100, 10, scores)

    monkeypatch.setattr(speedrun, "train", train)
    monkeypatch.setattr(speedrun, "SHORT", (25, 50))
    found = speedrun.until_lookup(Recipe(epochs=1), LOOKUP, 3, "fp32")
    assert (found and found["steps"]) == steps
    if found:
        assert found["seconds"] == 2
