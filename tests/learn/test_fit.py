"""Training that stops anywhere and goes on is training that never stopped, bit for bit."""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from limner.card import Card
from limner.dataset import find
from limner.errors import LimnerError, TrainingError
from limner.learn import checkpoint, fit
from limner.learn.export import load
from limner.learn.loading.sources import gather
from limner.learn.metrics import Metrics
from limner.learn.run import Run, save, saved
from limner.networks import build
from limner.palette import Palette
from limner.recipe import Recipe
from limner.weights import palette as embedded_palette

Finished = Callable[[str], Path]
Recipes = dict[str, Recipe]
SAMPLE = Path(__file__).parents[1] / "data" / "sample"


def train(recipe: Recipe, folder: Path, report: Any = None, source: Path | None = None) -> Path:
    fit.start(recipe, folder, precision="fp32", device="cpu", source=source, report=report)
    return folder


def signals_at(step: int, kind: signal.Signals) -> Any:
    """A report that sends this process a signal after `step` steps, as Ctrl-C or kill would."""

    def report(done: int, steps: int, record: dict[str, Any] | None) -> None:
        if record is None and done == step:
            os.kill(os.getpid(), kind)

    return report


def interrupted(
    recipe: Recipe, folder: Path, stops: Sequence[int], kind: signal.Signals = signal.SIGTERM
) -> Path:
    """Train, stop by a signal after each step of `stops`, and go on to the end."""
    for sitting, step in enumerate(stops):
        with pytest.raises(fit.Stopped) as stopped:
            if sitting == 0:
                train(recipe, folder, signals_at(step, kind))
            else:
                fit.resume(folder, signals_at(step, kind))
        assert stopped.value.exit_code == 130
        saved = checkpoint.load(folder)[0]
        assert step <= saved <= step + 1  # nothing lost, at most the step that was under way
        assert f"after step {saved:,} of" in str(stopped.value)
        assert len(str(stopped.value).splitlines()) == 1
    fit.resume(folder)
    return folder


def records(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl; strict JSON, which knows no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def validations(folder: Path) -> dict[int, dict[str, float]]:
    return {r["step"]: r["validation"] for r in records(folder) if "validation" in r}


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, running means, optimizer and all that was recorded are equal bit for bit."""
    step, tensors, _ = checkpoint.load(one)
    other_step, other_tensors, _ = checkpoint.load(other)
    assert step == other_step
    assert tensors.keys() == other_tensors.keys()
    different = [n for n, value in tensors.items() if not torch.equal(value, other_tensors[n])]
    assert different == []
    without_time = [[{**r, "seconds": 0} for r in records(folder)] for folder in (one, other)]
    assert without_time[0] == without_time[1]


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stops", [(1,), (3,), (6,), (2, 7)])
def test_whole_pictures_stopped_and_resumed_are_the_run_that_never_stopped(
    finished: Finished, recipes: Recipes, tmp_path: Path, stops: list[int], kind: signal.Signals
) -> None:
    run = interrupted(recipes["whole"], tmp_path / "run", stops, kind)
    assert_same_run(run, finished("whole"))


@pytest.mark.parametrize("stops", [(1,), (3,), (5, 7), (1, 3, 5)])
def test_crops_of_several_sets_stopped_and_resumed_are_the_run_that_never_stopped(
    finished: Finished, recipes: Recipes, tmp_path: Path, stops: list[int]
) -> None:
    run = interrupted(recipes["crops"], tmp_path / "run", stops)
    assert_same_run(run, finished("crops"))
    tensors = checkpoint.load(run)[1]
    assert {name.split("/")[0] for name in tensors} == {"network", "ema", "optimizer"}
    assert {name.split("/")[2] for name in tensors if name.startswith("optimizer")} == {
        "step", "exp_avg", "exp_avg_sq",
    }  # fmt: skip


def test_another_seed_is_another_run(finished: Finished, recipes: Recipes, tmp_path: Path) -> None:
    """The control of the two tests above: what they compare can differ."""
    run = train(replace(recipes["whole"], seed=1), tmp_path / "run")
    with pytest.raises(AssertionError):
        assert_same_run(run, finished("whole"))


def test_a_shuffled_run_goes_on_with_the_same_order(recipes: Recipes, tmp_path: Path) -> None:
    recipe = replace(recipes["whole"], shuffle=True, epochs=2)
    straight = train(recipe, tmp_path / "straight")
    assert_same_run(interrupted(recipe, tmp_path / "run", [2]), straight)


def test_a_stop_asked_at_the_last_step_is_a_finished_run(
    finished: Finished, recipes: Recipes, tmp_path: Path
) -> None:
    run = train(recipes["whole"], tmp_path / "run", signals_at(12, signal.SIGTERM))
    assert_same_run(run, finished("whole"))


def test_a_stop_leaves_the_signals_as_they_were(recipes: Recipes, tmp_path: Path) -> None:
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(fit.Stopped):
        train(recipes["whole"], tmp_path / "run", signals_at(1, signal.SIGTERM))
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_a_killed_run_did_after_its_checkpoint_is_done_again(
    finished: Finished, recipes: Recipes, tmp_path: Path
) -> None:
    """A kill that nothing can catch: whatever step it hits, the last checkpoint goes on."""

    class Killed(BaseException):
        pass

    def report(done: int, steps: int, record: dict[str, Any] | None) -> None:
        if done == 7 and record is None:
            raise Killed

    with pytest.raises(Killed):
        train(recipes["whole"], tmp_path / "run", report)
    assert checkpoint.load(tmp_path / "run")[0] == 4  # the first epoch's end
    fit.resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", finished("whole"))


def test_a_finished_run_resumed_does_nothing(finished: Finished, tmp_path: Path) -> None:
    run = shutil.copytree(finished("whole"), tmp_path / "run")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    calls: list[int] = []
    fit.resume(run, lambda done, steps, record: calls.append(done))
    assert calls == []
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_a_run_holds_what_it_depends_on(finished: Finished, recipes: Recipes) -> None:
    run = finished("crops")
    document = json.loads((run / "run.json").read_text())
    assert Recipe.from_dict(document["recipe"]) == recipes["crops"]
    assert Palette.from_json(document["palette"]).space == "ab"
    assert document["precision"] == "fp32"
    assert set(document["data"]) == {"sample", "cifar10:all"}
    assert {file.suffix for file in run.iterdir()} == {".json", ".jsonl", ".safetensors"}


def test_training_learns(recipes: Recipes, tmp_path: Path) -> None:
    run = train(replace(recipes["whole"], epochs=12, learning_rate=1e-2), tmp_path / "run")
    scores = validations(run)
    assert list(scores) == [4 * epoch for epoch in range(1, 13)]  # once an epoch
    assert scores[48]["loss"] < 0.8 * np.log(24)  # log K: all classes equally probable
    assert scores[48]["loss"] < scores[4]["loss"]


def test_metrics_have_one_record_a_line_and_no_step_twice(
    finished: Finished, recipes: Recipes, tmp_path: Path
) -> None:
    straight, stopped = (
        finished("crops"),
        interrupted(recipes["crops"], tmp_path / "run", [2, 6]),
    )
    for run in (straight, stopped):
        found = records(run)
        for kind in ("loss", "validation"):
            steps = [record["step"] for record in found if kind in record]
            assert steps == sorted(set(steps)), kind
        assert list(validations(run)) == [4, 8, 9]
        for record in found:
            assert {"step", "seconds", "learning_rate"} < set(record)
    assert records(straight)[0]["learning_rate"] == pytest.approx(
        recipes["crops"].learning_rate
    )  # warmed up


def test_metrics_cut_in_the_middle_of_a_line_are_no_hindrance(
    finished: Finished, recipes: Recipes, tmp_path: Path
) -> None:
    """As after a power cut while a record was written."""
    run = tmp_path / "run"
    with pytest.raises(fit.Stopped):
        train(recipes["whole"], run, signals_at(5, signal.SIGTERM))
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "sec')
    fit.resume(run)
    assert_same_run(run, finished("whole"))


def test_records_of_steps_that_no_checkpoint_kept_are_written_once(
    finished: Finished, recipes: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the records of an epoch, before its checkpoint: the epoch is done again."""

    class Killed(BaseException):
        pass

    def dies(run: Run) -> None:
        if run.step == 8:
            raise Killed
        save(run)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "save", dies)
        with pytest.raises(Killed):
            train(recipes["whole"], tmp_path / "run")
    assert list(validations(tmp_path / "run")) == [4, 8]
    fit.resume(tmp_path / "run")
    steps = [record["step"] for record in records(tmp_path / "run") if "loss" in record]
    assert steps == [4, 8, 12]
    assert_same_run(tmp_path / "run", finished("whole"))


def test_validation_scores_the_averaged_weights(finished: Finished, recipes: Recipes) -> None:
    """Against the definitions: mean -log p of the true class, share of cells guessed right."""
    run, recipe = finished("crops"), recipes["crops"]
    step, tensors, _ = checkpoint.load(run)
    sources = gather(recipe, None)
    network = build("resunet", {"k": 3, "NF": 4, "NC": len(sources.palette)}).eval()

    def scores(average: bool) -> tuple[float, float]:
        state = {
            name: tensors.get(f"ema/{name}" if average else "", tensors[f"network/{name}"])
            for name in network.state_dict()
        }
        network.load_state_dict(state)
        losses, right = [], []
        for inputs, classes in sources.validation(recipe, network.stride):
            with torch.no_grad():
                logs = torch.log_softmax(network(inputs).double(), dim=1)
            losses.append(-logs.gather(1, classes[:, None]).flatten())
            right.append((logs.argmax(dim=1) == classes).flatten().double())
        return float(torch.cat(losses).mean()), float(torch.cat(right).mean())

    loss, accuracy = scores(average=True)
    found = validations(run)[step]
    assert found["loss"] == pytest.approx(loss, abs=1e-4)
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-3)
    assert abs(scores(average=False)[0] - loss) > 1e-3  # control


def test_the_reported_loss_is_the_mean_cross_entropy_of_the_first_batch(
    recipes: Recipes, tmp_path: Path
) -> None:
    """Against the definition, for a network whose start weights come from the seed."""
    recipe = replace(recipes["whole"], epochs=0, steps=1)
    run = train(recipe, tmp_path / "run")
    palette = Palette.from_json(json.loads((run / "run.json").read_text())["palette"])
    torch.manual_seed(recipe.seed)
    network = build("cnn", {"k": 3, "NF": 4, "NC": 24}).train()
    content = np.fromfile(SAMPLE.parent / "cifar-10-batches-bin/data_batch_1.bin", np.uint8)
    rows = content.reshape(-1, 3073)
    first = rows[rows[:, 0] == 7][:8, 1:].reshape(8, 3, 32, 32).astype(np.float64)
    light = torch.from_numpy((first.mean(axis=1, keepdims=True) / 255).astype(np.float32))
    distance = ((first[:, None] - palette.colors[None, :, :, None, None]) ** 2).sum(axis=2)
    nearest = distance.argmin(axis=1)
    with torch.no_grad():
        logs = torch.log_softmax(network(light).double(), dim=1).numpy()
    expected = -np.take_along_axis(logs, nearest[:, None], axis=1).mean()
    assert records(run)[0]["loss"] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("batches", [{"epochs": 3}, {"epochs": 0, "steps": 3, "validate": 1}])
def test_a_loss_that_is_not_a_number_stops_with_the_step_named(
    recipes: Recipes, tmp_path: Path, batches: dict[str, int]
) -> None:
    """Wherever it shows first: in a step's loss or in a validation."""
    recipe = replace(recipes["whole"], learning_rate=1e30, **batches)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=r"step [123]: .*(nan|inf)") as error:
        train(recipe, tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1
    step, tensors, _ = checkpoint.load(tmp_path / "run")  # the last good one
    assert step == 0
    assert all(bool(torch.isfinite(value).all()) for value in tensors.values())
    records(tmp_path / "run")


def test_a_folder_that_holds_a_run_is_not_overwritten(
    finished: Finished, recipes: Recipes, tmp_path: Path
) -> None:
    run = shutil.copytree(finished("whole"), tmp_path / "run")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    with pytest.raises(TrainingError, match="holds a run already"):
        train(recipes["whole"], run)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_a_run_that_cannot_be_written_is_an_error_of_one_line(
    recipes: Recipes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(LimnerError, match="file") as error:
            train(recipes["whole"], folder)
        assert len(str(error.value).splitlines()) == 1


def test_a_folder_without_a_run_cannot_be_resumed(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no run"):
        fit.resume(tmp_path)
    run = shutil.copytree(finished("whole"), tmp_path / "run")
    for content, message in (("{", "holds no run"), ("[]", "format"), ('{"format": 9}', "format")):
        (run / "run.json").write_text(content)
        with pytest.raises(TrainingError, match=message):
            fit.resume(run)


def test_a_run_whose_checkpoint_is_cut_in_half_cannot_be_resumed(
    finished: Finished, tmp_path: Path
) -> None:
    run = shutil.copytree(finished("whole"), tmp_path / "run")
    for file in [*run.glob("*.safetensors"), run / "checkpoint.json"]:
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(TrainingError, match="damaged") as error:
            fit.resume(run)
        assert str(file) in str(error.value)
        assert len(str(error.value).splitlines()) == 1
        file.write_bytes(whole)
    fit.resume(run)


def test_a_checkpoint_of_another_network_does_not_fit(finished: Finished, tmp_path: Path) -> None:
    run = shutil.copytree(finished("whole"), tmp_path / "run")
    document = json.loads((run / "run.json").read_text())
    for changed in ({"NF": 8}, {"network": "unet"}, {"ema": 0.5}):
        recipe = {**document["recipe"], **changed}
        (run / "run.json").write_text(json.dumps({**document, "recipe": recipe}))
        with pytest.raises(TrainingError, match="does not fit"):
            fit.resume(run)


def test_a_run_whose_data_changed_cannot_be_resumed(recipes: Recipes, tmp_path: Path) -> None:
    album = shutil.copytree(SAMPLE, tmp_path / "album")
    recipe = replace(
        recipes["crops"], data=(str(album),), holdout=0, palette="horse24", steps=6, validate=6
    )
    run = tmp_path / "run"
    with pytest.raises(fit.Stopped):
        train(recipe, run, signals_at(1, signal.SIGTERM))
    photo = album / "train" / "rocket.jpg"
    whole = photo.read_bytes()
    photo.unlink()
    with pytest.raises(TrainingError, match="data are not those") as error:
        fit.resume(run)
    assert len(str(error.value).splitlines()) == 1
    photo.write_bytes((album / "train" / "astronaut.jpg").read_bytes())
    with pytest.raises(TrainingError, match="data are not those"):
        fit.resume(run)
    photo.write_bytes(whole)
    validating = album / "val" / "flag.png"
    whole = validating.read_bytes()
    validating.write_bytes((album / "train" / "cat.png").read_bytes())
    with pytest.raises(TrainingError, match="data are not those"):
        fit.resume(run)
    validating.write_bytes(whole)
    fit.resume(run)
    assert checkpoint.load(run)[0] == 6


def test_an_older_run_that_does_not_say_what_validates_is_resumed(
    recipes: Recipes, finished: Finished, tmp_path: Path
) -> None:
    with pytest.raises(fit.Stopped):
        train(recipes["whole"], tmp_path / "run", signals_at(3, signal.SIGTERM))
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    (told,) = document["data"].values()
    assert told.pop("validation") == find("cifar10:horse", "val").fingerprint()
    (tmp_path / "run" / "run.json").write_text(json.dumps(document))
    fit.resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", finished("whole"))
    del told["fingerprint"]  # control: of what is learned from all must be said
    (tmp_path / "run" / "run.json").write_text(json.dumps(document))
    with pytest.raises(TrainingError, match="data are not those"):
        fit.resume(tmp_path / "run")


def test_frozen_parts_do_not_move(recipes: Recipes, tmp_path: Path) -> None:
    run = tmp_path / "run"
    recipe = replace(recipes["crops"], learn=("up2", "out"), holdout=8, steps=5)
    start: dict[str, torch.Tensor] = {}

    def report(done: int, steps: int, record: dict[str, Any] | None) -> None:
        if not start:
            start.update(saved(run)[1]["network"])

    train(recipe, run, report)
    _, end, _ = saved(run)
    assert end["network"].keys() == start.keys()
    moved = {n.split(".")[0] for n, v in end["network"].items() if not torch.equal(v, start[n])}
    assert moved == {"up2", "out"}
    assert {name.split(".")[0] for name in end["ema"]} == {"up2", "out"}
    assert_same_run(interrupted(recipe, tmp_path / "again", [2]), run)


Released = Callable[[], tuple[Card, Path]]


def test_a_run_starts_from_a_models_weights_and_palette(
    released: Released, recipes: Recipes, tmp_path: Path
) -> None:
    card, path = released()
    recipe = replace(
        recipes["crops"], palette="horse24", steps=1, learning_rate=1e-12, warmup=0, ema=0.0
    )
    run = train(recipe, tmp_path / "run", source=path)
    document = json.loads((run / "run.json").read_text())
    assert Palette.from_json(document["palette"]) == card.palette
    assert card.palette != embedded_palette("horse24")  # which the recipe names
    assert document["from"]["name"] == card.name
    assert document["from"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (document["from"]["data"], document["from"]["license"]) == (card.data, card.license)
    found = checkpoint.load(run)[1]
    for name, value in load(path)[0].named_parameters():
        torch.testing.assert_close(found[f"network/{name}"], value.detach(), rtol=0, atol=1e-9)


def test_a_run_from_a_model_goes_on_without_the_model(
    released: Released, recipes: Recipes, tmp_path: Path
) -> None:
    path = Path(shutil.copy(released()[1], tmp_path / "tiny.onnx"))
    recipe = replace(recipes["crops"], steps=4)
    straight = train(recipe, tmp_path / "straight", source=path)
    with pytest.raises(fit.Stopped):
        train(recipe, tmp_path / "run", signals_at(1, signal.SIGTERM), source=path)
    path.unlink()
    fit.resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", straight)


def test_a_model_of_another_network_is_refused(
    released: Released, recipes: Recipes, tmp_path: Path
) -> None:
    for recipe in (replace(recipes["crops"], NF=8), recipes["whole"]):
        with pytest.raises(TrainingError, match="is not the recipe's") as error:
            train(recipe, tmp_path / "run", source=released()[1])
        assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_first_step_that_went_wrong_is_named(recipes: Recipes, tmp_path: Path) -> None:
    """Losses are looked at once in many steps; the message tells which of them it was."""
    run: Any = SimpleNamespace(folder=tmp_path, step=10, steps=20, seconds=0.0)
    run.recipe = recipes["whole"]
    metrics = Metrics(run, None)
    metrics.training([torch.tensor(1.0)] * 3)
    for wrong in (float("nan"), float("inf")):
        losses = [torch.tensor(x) for x in (1.0, 2.0, wrong, 1.0, float("nan"))]
        with pytest.raises(TrainingError, match=r"step 8: the loss is (nan|inf)"):
            metrics.training(losses)  # of the steps 6 to 10
    with pytest.raises(TrainingError, match="step 10: the validation loss is nan"):
        metrics.validation({"loss": float("nan"), "accuracy": 0.0})
    metrics.flush()
    assert [record["loss"] for record in records(tmp_path)] == [1.0]


CUDA_TOLERANCE = 0.02  # relative, of a validation loss: a GPU's kernels add in orders of their own


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_the_order_is_the_same_and_the_losses_are_close(
    recipes: Recipes, tmp_path: Path
) -> None:
    recipe = recipes["crops"]
    fit.start(recipe, tmp_path / "straight", precision="fp32", device="cuda")
    with pytest.raises(fit.Stopped):
        report = signals_at(4, signal.SIGTERM)
        fit.start(recipe, tmp_path / "run", precision="fp32", device="cuda", report=report)
    fit.resume(tmp_path / "run")
    straight, again = validations(tmp_path / "straight"), validations(tmp_path / "run")
    assert straight.keys() == again.keys()
    for step, scores in straight.items():
        assert again[step]["loss"] == pytest.approx(scores["loss"], rel=CUDA_TOLERANCE)
