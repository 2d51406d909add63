"""Learning to segment: from pictures with masks to a model file, stopped anywhere."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from limner.card import Card, Model
from limner.errors import DataError, RecipeError, TrainingError
from limner.evaluate.masks import evaluate_masks
from limner.learn import checkpoint, fit
from limner.learn.export import load
from limner.learn.fit import loss_of, validate
from limner.learn.loading.batches import Batch
from limner.learn.loading.sources import MaskSources, gather
from limner.learn.loading.views import UNSAID
from limner.learn.release import release, trained
from limner.learn.run import Run, assemble, build, learned_state
from limner.masks.sets import GUESSES, find_labelled, labels_of
from limner.networks import build as build_network
from limner.recipe import Recipe

Finished = Callable[[str], Path]
Released = Callable[..., tuple[Card, Path]]
Recipes = dict[str, Recipe]
Draw = Callable[..., Path]


def train(recipe: Recipe, folder: Path, source: Path | None = None, report: Any = None) -> Path:
    fit.start(recipe, folder, precision="fp32", device="cpu", source=source, report=report)
    return folder


def interrupted(recipe: Recipe, folder: Path, stops: Sequence[int]) -> Path:
    """Train, stop by a signal after each step of `stops`, and go on to the end."""

    def at(step: int) -> Any:
        def report(done: int, steps: int, record: dict[str, Any] | None) -> None:
            if record is None and done == step:
                os.kill(os.getpid(), signal.SIGTERM)

        return report

    for sitting, step in enumerate(stops):
        torch.manual_seed(1000 + sitting)  # as in another process: whatever came before it
        with pytest.raises(fit.Stopped):
            if sitting:
                fit.resume(folder, at(step))
            else:
                train(recipe, folder, report=at(step))
    torch.manual_seed(1)
    fit.resume(folder)
    return folder


def records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": 0} for line in lines]


def assert_same(one: Path, other: Path) -> None:
    first, second = checkpoint.load(one)[1], checkpoint.load(other)[1]
    assert first.keys() == second.keys()
    assert [n for n, value in first.items() if not torch.equal(value, second[n])] == []
    assert records(one) == records(other)


def assembled(recipe: Recipe) -> Run:
    sources = gather(recipe, None)
    network = build(recipe, sources.palette, pretrained=False)
    return assemble(Path("nowhere"), recipe, sources, network, "fp32", torch.device("cpu"))


@pytest.mark.parametrize("name", ["shapes", "frozen", "paced"])
@pytest.mark.parametrize("stops", [(1,), (2, 4)])
def test_stopped_and_resumed_is_the_run_that_never_stopped(
    finished: Finished, recipes: Recipes, tmp_path: Path, name: str, stops: Sequence[int]
) -> None:
    """With dropout, whose draws must not depend on where a run was stopped."""
    assert_same(interrupted(recipes[name], tmp_path / "run", stops), finished(name))


def test_dropout_is_at_work(recipes: Recipes) -> None:
    """The control of the test above: there is something that draws."""
    run = assembled(recipes["shapes"])
    inputs, _ = run.batches(0)
    torch.manual_seed(0)
    one = run.network(inputs)
    assert not torch.equal(run.network(inputs), one)


def test_training_learns(recipes: Recipes, tmp_path: Path) -> None:
    run = train(replace(recipes["shapes"], epochs=30, tone=0.0, validate=20), tmp_path / "run")
    found = [record["validation"] for record in records(run) if "validation" in record]
    assert found[-1]["loss"] < 0.8 * found[0]["loss"]
    assert found[-1]["mean_iou"] > 0.6  # a third of the classes' pixels by chance
    assert set(found[0]) == {"loss", "accuracy", "mean_iou"}


def test_what_is_frozen_is_written_once_and_the_checkpoint_holds_what_learns(
    recipes: Recipes, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    written: list[dict[str, int]] = []

    def report(done: int, steps: int, record: dict[str, Any] | None) -> None:
        if "decoding" not in (record or {}):  # told only where nobody decoded the set before
            written.append({f.name: f.stat().st_mtime_ns for f in run.glob("frozen*")})

    train(recipes["frozen"], run, report=report)
    assert all(files == written[0] for files in written)
    assert "frozen.json" in written[0]
    assert {f.name: f.stat().st_mtime_ns for f in run.glob("frozen*")} == written[0]
    live, frozen = checkpoint.load(run)[1], checkpoint.load(run, "frozen")[1]
    names = {name for name in live if name.startswith("network/")}
    assert names == {"network/classifier.4.weight", "network/classifier.4.bias"}
    assert {name.partition("/")[0] for name in live} == {"network", "ema", "optimizer"}
    network = trained(run)[2]
    assert names | set(frozen) == {f"network/{name}" for name in network.state_dict()}
    assert not names & set(frozen)
    start = build(recipes["frozen"], gather(recipes["frozen"], None).palette, pretrained=True)
    for name, value in start.state_dict().items():
        last = name.startswith("classifier.4.")
        assert torch.equal(value, network.state_dict()[name]) != last, name


def test_where_all_learns_nothing_is_frozen(finished: Finished) -> None:
    run = finished("shapes")
    assert not list(run.glob("frozen*"))
    names = {n.removeprefix("network/") for n in checkpoint.load(run)[1] if "network/" in n}
    assert names == set(trained(run)[2].state_dict())


def test_a_part_with_norms_keeps_its_statistics_in_the_checkpoint(
    recipes: Recipes, tmp_path: Path
) -> None:
    recipe = replace(recipes["shapes"], learn=("classifier.2", "classifier.4"), epochs=2)
    run = train(recipe, tmp_path / "run")
    live = {n.removeprefix("network/") for n in checkpoint.load(run)[1] if "network/" in n}
    whole = set(trained(run)[2].state_dict())
    assert live == {n for n in whole if n.startswith(("classifier.2.", "classifier.4."))}
    assert any(name.endswith("num_batches_tracked") for name in live)
    assert_same(interrupted(recipe, tmp_path / "again", [1]), run)


def test_a_run_without_its_frozen_weights_is_refused(finished: Finished, tmp_path: Path) -> None:
    run = shutil.copytree(finished("frozen"), tmp_path / "run")
    for file in run.glob("frozen*.safetensors"):
        file.unlink()
    for damaged in (fit.resume, trained):
        with pytest.raises(TrainingError, match="frozen") as error:
            damaged(run)
        assert len(str(error.value).splitlines()) == 1
    (run / "frozen.json").unlink()
    with pytest.raises(TrainingError, match="does not fit"):
        fit.resume(run)


@pytest.mark.parametrize("name", ["shapes", "frozen"])
def test_the_optimizer_holds_the_parameters_that_learn(recipes: Recipes, name: str) -> None:
    """Those of the network as it is trained: none that a new last layer replaced."""
    run = assembled(recipes[name])
    held = {id(p) for group in run.optimizer.param_groups for p in group["params"]}
    learning = {id(p) for p in run.network.parameters() if p.requires_grad}
    assert held == learning
    last = run.network.get_submodule("classifier.4")
    assert {id(p) for p in last.parameters()} <= held
    before = {n: p.detach().clone() for n, p in run.network.named_parameters()}
    for step in range(2):
        fit.learn(run, run.batches(step))
        run.step += 1
    still = [n for n, p in run.network.named_parameters() if torch.equal(p, before[n])]
    assert still == [n for n, p in run.network.named_parameters() if not p.requires_grad]


def test_an_optimizer_built_before_a_new_last_layer_holds_dead_parameters(
    recipes: Recipes,
) -> None:
    """The control of the test above, in the write-up's order: nothing that is trained learns."""
    run = assembled(recipes["frozen"])
    old, new = run.network.get_submodule("classifier.4"), torch.nn.Conv2d(8, 3, 1)
    run.network.get_submodule("classifier").add_module("4", new)
    held = {id(p) for group in run.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in old.parameters()}
    before = {n: p.detach().clone() for n, p in run.network.named_parameters()}
    fit.learn(run, run.batches(0))
    assert new.weight.grad is not None
    assert all(torch.equal(p, before[n]) for n, p in run.network.named_parameters())


def test_a_pretrained_encoder_learns_at_a_rate_of_its_own(recipes: Recipes) -> None:
    """Adam's first step is the rate itself, for a weight whose gradient is not tiny."""
    recipe = replace(recipes["shapes"], encoder_rate=0.25)
    run = assembled(recipe)
    before = {n: p.detach().clone() for n, p in run.network.named_parameters()}
    fit.learn(run, run.batches(0))
    moved: dict[bool, list[float]] = {True: [], False: []}
    for name, p in run.network.named_parameters():
        moved[name.startswith("backbone.")].append(float((p.detach() - before[name]).abs().max()))
    assert max(moved[True]) == pytest.approx(0.25 * recipe.learning_rate, rel=1e-3)
    assert max(moved[False]) == pytest.approx(recipe.learning_rate, rel=1e-3)


@pytest.mark.parametrize("name", ["frozen", "whole"])
def test_a_rate_of_no_encoder_is_refused(recipes: Recipes, tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=r"encoder_rate = 0\.5, and no pretrained encoder learns"):
        train(replace(recipes[name], encoder_rate=0.5), tmp_path / "run")


def test_an_unknown_part_to_learn_is_refused(recipes: Recipes, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'classifier.40'; name parts of classifier.0, .*4, or"):
        train(replace(recipes["shapes"], learn=("classifier.40",)), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_run_tells_its_data(finished: Finished, shapes: Path) -> None:
    document = json.loads((finished("shapes") / "run.json").read_text())
    assert document["palette"]["names"] == ["nothing", "disc", "bar"]
    told = document["data"][str(shapes)]
    assert (told["pictures"], told["held_out"]) == (10, 0)


def test_data_that_changed_cannot_be_gone_on_with(
    recipes: Recipes, tmp_path: Path, shapes: Path
) -> None:
    folder = shutil.copytree(shapes, tmp_path / "set")
    recipe = replace(recipes["frozen"], data=(str(folder),))
    run = train(recipe, tmp_path / "run")
    for kind in ("train/masks", "train/images", "val/masks", "val/images"):
        file = folder / kind / "0.png"
        whole = file.read_bytes()
        with Image.open(file) as image:
            pixels = np.array(image)
        pixels[0, 0] = 1 - np.minimum(pixels[0, 0], 1)
        Image.fromarray(pixels).save(file)
        with pytest.raises(TrainingError, match="data are not those"):
            fit.resume(run)
        file.write_bytes(whole)
    fit.resume(run)


def test_the_model_file_is_the_runs_and_its_card_tells(
    finished: Finished, released: Released, recipes: Recipes, shapes: Path
) -> None:
    card, path = released("shapes")
    assert (card.name, card.task, card.input) == ("shapes", "segment", "rgb")
    assert card.palette.names == ("nothing", "disc", "bar")
    assert (card.stride, card.multiple) == (4, 16)
    assert card.working_size == 48  # 32..64 were seen: 45, in multiples of 16
    assert card.class_weights is None
    assert (card.temperature, card.chroma) == (1, 1)
    assert set(card.data) == {str(shapes)}
    assert card.recipe["task"] == "segment"
    model = Model(path, device="cpu")
    assert model.card == card
    x = np.random.default_rng(0).random((2, 3, 32, 48), dtype=np.float32)
    network = trained(finished("shapes"))[2]
    with torch.inference_mode():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(model.run(x), expected, rtol=0, atol=1e-4)
    again, _ = load(path)
    for name, value in again.named_parameters():
        assert torch.equal(value, network.get_parameter(name))


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[Card]:
    """The cards that are handed to the export, which itself takes seconds."""
    cards: list[Card] = []
    monkeypatch.setattr(
        "limner.learn.release.export", lambda network, card, path, overwrite: cards.append(card)
    )
    return cards


@pytest.mark.parametrize("kind", ["inverse", "root"])
def test_class_weights_follow_from_the_shares(
    recipes: Recipes, shapes: Path, finished: Finished, tmp_path: Path,
    handed_over: list[Card], kind: str,
) -> None:  # fmt: skip
    recipe = replace(recipes["shapes"], class_weights=kind, epochs=1)  # type: ignore[arg-type]
    counts = np.zeros(256)
    for file in (shapes / "train" / "masks").iterdir():
        with Image.open(file) as image:
            counts += np.bincount(np.asarray(image).ravel(), minlength=256)
    shares = counts[:3] / counts[:3].sum()
    weights = shares ** {"inverse": -1.0, "root": -0.5}[kind]
    weights /= (shares * weights).sum()
    found = gather(recipe, None).class_weights(recipe)
    assert found is not None
    np.testing.assert_allclose(found, weights, rtol=1e-6)
    assert gather(recipes["shapes"], None).class_weights(recipes["shapes"]) is None
    release(train(recipe, tmp_path / "run"), tmp_path / "model.onnx")
    np.testing.assert_allclose(handed_over[0].class_weights, weights, rtol=1e-6)  # type: ignore[arg-type]
    assert records(tmp_path / "run")[0]["loss"] != records(finished("shapes"))[0]["loss"]


def test_a_card_has_the_class_weights_of_the_training_without_its_data(
    recipes: Recipes, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    handed_over: list[Card],
) -> None:  # fmt: skip
    folder = shutil.copytree(shapes, tmp_path / "set")
    recipe = replace(recipes["shapes"], data=(str(folder),), class_weights="inverse")
    run = tmp_path / "run"

    def stop(done: int, steps: int, record: dict[str, Any] | None) -> None:
        if record is None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(fit.Stopped):
        train(recipe, run, report=stop)
    document = json.loads((run / "run.json").read_text())
    kept = document["class_weights"]
    counted = gather(recipe, None).class_weights(recipe)
    assert counted is not None
    assert kept == counted.tolist()
    document["class_weights"] = [3.0, 2.0, 1.0]  # as if another limner had counted otherwise
    (run / "run.json").write_text(json.dumps(document))
    used: list[Any] = []
    real = fit.loss_of

    def loss_of(logits: Any, classes: Any, weights: Any) -> Any:
        used.append(weights.tolist())
        return real(logits, classes, weights)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "loss_of", loss_of)
        fit.resume(run)
    assert used
    assert all(weights == [3.0, 2.0, 1.0] for weights in used)
    folder.rename(tmp_path / "gone")
    release(run, tmp_path / "model.onnx")
    assert handed_over[0].class_weights == (3.0, 2.0, 1.0)
    del document["class_weights"]  # a run of an older limner
    (run / "run.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="no folder of that name"):
        release(run, tmp_path / "model.onnx")
    (tmp_path / "gone").rename(folder)
    release(run, tmp_path / "model.onnx")
    assert handed_over[1].class_weights == tuple(kept)


def test_a_class_that_no_pixel_has_weighs_as_the_rarest(
    recipes: Recipes, tmp_path: Path, draw: Draw
) -> None:
    folder = draw(draw(tmp_path / "set", "train", 4, 1, (0, 1, 255)), "val", 2, 2)
    recipe = replace(recipes["shapes"], data=(str(folder),), class_weights="inverse", epochs=1)
    weights = gather(recipe, None).class_weights(recipe)
    assert weights is not None
    assert weights[2] == weights[:2].max()
    run = train(recipe, tmp_path / "run")
    assert all(np.isfinite(r["loss"]) for r in records(run) if "loss" in r)


def test_a_foreground_is_one_class_against_all_others(recipes: Recipes, tmp_path: Path) -> None:
    recipe = replace(recipes["shapes"], foreground=("bar",), loss_at="full")
    plain, binary = gather(replace(recipe, foreground=()), None), gather(recipe, None)
    assert binary.palette.names == ("background", "bar")
    assert isinstance(plain, MaskSources)
    assert isinstance(binary, MaskSources)
    for kind in ("masks", "held_masks"):
        for masks, two in zip(getattr(plain, kind), getattr(binary, kind), strict=True):
            for index in range(len(masks)):
                expected = np.where(masks[index] == 255, 255, masks[index] == 2)
                assert np.array_equal(two[index], expected)
    run = train(replace(recipe, epochs=1), tmp_path / "run")
    assert trained(run)[2].arguments["NC"] == 2


def test_the_card_tells_the_scores_on_the_held_out_pictures(
    recipes: Recipes, shapes: Path, tmp_path: Path
) -> None:
    """What `limner evaluate` says of them, as a set of their own."""
    recipe = replace(recipes["shapes"], holdout=2, epochs=1)
    path = tmp_path / "model.onnx"
    card = release(train(recipe, tmp_path / "run"), path)
    sources = gather(recipe, None)
    assert isinstance(sources, MaskSources)
    for index in range(2):
        for kind, pictures in (("images", sources.held[0]), ("masks", sources.held_masks[0])):
            (tmp_path / "held" / "val" / kind).mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(pictures[index].squeeze())
            image.save(tmp_path / "held" / "val" / kind / f"{index}.png")
    shutil.copy(shapes / "classes.txt", tmp_path / "held")
    found = evaluate_masks(Model(path), str(tmp_path / "held"), "val", None)["rows"]["ours"]
    told = card.scores["holdout"]
    assert told["n"] == 2
    for name in ("pixel_accuracy", "mean_iou"):
        assert told[name]["ours"] == pytest.approx(found[name])
    assert Model(path).card == card


def test_a_foreground_models_masks_are_learned_from_beside_others(
    recipes: Recipes, tmp_path: Path, shapes: Path, draw: Draw
) -> None:
    """Its set has the two classes already."""
    draw(tmp_path / "drawn", "train", 3, 1, (0, 1, 255))
    more = (tmp_path / "drawn" / "train").rename(tmp_path / "more")
    (more / "classes.txt").write_text("background\nbar+disc\n")
    (more / GUESSES).write_text('{"model": "m", "terms": "guesses of m"}')
    recipe = replace(recipes["shapes"], foreground=("bar", "disc"))
    sources = gather(replace(recipe, data=(str(shapes), str(more))), None)
    assert isinstance(sources, MaskSources)
    assert sources.palette.names == ("background", "bar+disc")
    for index, file in enumerate(find_labelled(str(more), "train").masks):
        with Image.open(file) as image:
            assert np.array_equal(sources.masks[1][index][..., 0], np.asarray(image))


def one_small_step(recipe: Recipe) -> Recipe:
    return replace(recipe, seed=9, steps=1, epochs=0, learning_rate=1e-12, ema=0.0)


@pytest.mark.parametrize("colors", ["the same", "others"])
def test_a_run_from_a_model_of_the_same_classes_keeps_all(
    released: Released, recipes: Recipes, tmp_path: Path, shapes: Path, colors: str
) -> None:
    _, path = released("shapes")
    folder = shutil.copytree(shapes, tmp_path / "set")
    if colors == "others":
        (folder / "classes.txt").write_text("nothing\ndisc\nbar\n")
    recipe = one_small_step(replace(recipes["shapes"], data=(str(folder),)))
    run = train(recipe, tmp_path / "run", source=path)
    document = json.loads((run / "run.json").read_text())
    assert document["from"]["name"] == "shapes"
    state = trained(run)[2]
    for name, value in load(path)[0].named_parameters():
        torch.testing.assert_close(state.get_parameter(name), value, rtol=0, atol=1e-9)


@pytest.mark.parametrize("other", ["names", "number"])
def test_a_run_from_a_model_of_other_classes_keeps_all_but_the_last_layer(
    released: Released, recipes: Recipes, tmp_path: Path, shapes: Path, other: str
) -> None:
    _, path = released("shapes")
    folder = shutil.copytree(shapes, tmp_path / "set")
    lines = (folder / "classes.txt").read_text()
    changed = lines.replace("disc", "ball") if other == "names" else lines + "more 0 0 200\n"
    (folder / "classes.txt").write_text(changed)
    recipe = one_small_step(replace(recipes["shapes"], data=(str(folder),)))
    run = train(recipe, tmp_path / "run", source=path)
    network, source = trained(run)[2], load(path)[0]
    fresh = build(recipe, gather(recipe, None).palette, pretrained=False)
    for name, value in network.named_parameters():
        kept = fresh if name.startswith("classifier.4.") else source
        torch.testing.assert_close(value, kept.get_parameter(name), rtol=0, atol=1e-9)


def test_a_model_of_the_other_task_or_network_is_refused(
    released: Released, recipes: Recipes, tmp_path: Path
) -> None:
    refused = {
        "a model to colorize, and the recipe is to segment": (recipes["shapes"], "crops"),
        "a model to segment, and the recipe is to colorize": (recipes["crops"], "shapes"),
        "is not the recipe's": (replace(recipes["shapes"], width=9), "shapes"),
    }
    for message, (recipe, model) in refused.items():
        with pytest.raises(TrainingError, match=message) as error:
            train(recipe, tmp_path / "run", source=released(model)[1])
        assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()
    # Two networks whose last layers have one name, and other weights in them.
    own, other = build_network("unet", {}), build_network("resunet", {"greys": 256})
    with pytest.raises(TrainingError, match="is not the recipe's"):
        fit.take_weights(own, other, Path("model.onnx"), last=False)


def test_other_networks_segment_too(recipes: Recipes, tmp_path: Path) -> None:
    recipe = replace(
        recipes["shapes"], network="unet", encoder=None, width=None, k=3, NF=4, epochs=1
    )
    assert trained(train(recipe, tmp_path / "run"))[2].arguments["NIn"] == 3


def ignore(masks: Path) -> None:
    for file in masks.iterdir():
        with Image.open(file) as image:
            Image.fromarray(np.full_like(np.asarray(image), 255)).save(file)


@pytest.mark.parametrize("split", ["train", "val"])
def test_masks_that_ignore_all_pixels_are_refused(
    recipes: Recipes, tmp_path: Path, shapes: Path, split: str
) -> None:
    folder = shutil.copytree(shapes, tmp_path / "set")
    ignore(folder / split / "masks")
    with pytest.raises(DataError, match="ignore all pixels") as error:
        train(replace(recipes["shapes"], data=(str(folder),)), tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1


def spoil(folder: Path, how: str) -> None:
    """Make the set's first mask wrong, or the list of its classes."""
    file = folder / "train" / "masks" / "0.png"
    if how == "another size":
        Image.new("L", (9, 8), 1).save(file)
    elif how == "unknown color":
        with Image.open(file) as image:
            Image.new("RGB", image.size, (1, 2, 3)).save(file)
    elif how == "class list":
        (folder / "classes.txt").write_text("nothing\ndisc\n")
    else:
        file.write_bytes(file.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("another size", r"0\.png: 9 x 8 pixels .*, and its picture \d+ x \d+; give the mask of"),
        ("unknown color", r"0\.png: the color \(1, 2, 3\) at column 0, row 0 is no class's; give"),
        ("class list", r"\d\.png: holds class 2 at .*, and the labels are 0\.\.1 .*; name all"),
        ("damaged", r"0\.png: no mask can be read \(damaged\); give a whole PNG"),
    ],
)
def test_a_wrong_mask_stops_the_training_by_one_line(
    recipes: Recipes, tmp_path: Path, shapes: Path, how: str, message: str
) -> None:
    folder = shutil.copytree(shapes, tmp_path / "set")
    spoil(folder, how)
    with pytest.raises(DataError, match=message) as error:
        train(replace(recipes["shapes"], data=(str(folder),)), tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_validation_pictures_that_say_nothing_are_refused(
    recipes: Recipes, tmp_path: Path, shapes: Path
) -> None:
    """A mask that says a class in a corner alone, which the middle square does not see."""
    folder = shutil.copytree(shapes, tmp_path / "set")
    for index in range(3):
        mask = np.full((40, 200), 255, np.uint8)
        mask[:, 0] = 1
        Image.fromarray(mask).save(folder / "val" / "masks" / f"{index}.png")
        Image.new("RGB", (200, 40)).save(folder / "val" / "images" / f"{index}.png")
    with pytest.raises(DataError, match="say no class in their middle squares") as error:
        train(replace(recipes["shapes"], data=(str(folder),)), tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1


def test_a_batch_that_says_nothing_teaches_nothing(recipes: Recipes) -> None:
    run = assembled(replace(recipes["shapes"], optimizer="adam"))
    inputs, classes = run.batches(0)
    before = {n: p.detach().clone() for n, p in run.network.named_parameters()}
    loss = fit.learn(run, (inputs, torch.full_like(classes, UNSAID)))
    assert float(loss) == 0
    assert all(torch.equal(p, before[n]) for n, p in run.network.named_parameters())


def test_a_batch_larger_than_the_set_is_refused(recipes: Recipes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"10 pictures to learn from.* batch of 11.*batch = 10"):
        train(replace(recipes["shapes"], batch=11), tmp_path / "run")
    run = train(replace(recipes["shapes"], batch=10, epochs=1), tmp_path / "run")
    assert checkpoint.load(run)[0] == 1


def test_sets_of_other_classes_are_refused(recipes: Recipes, tmp_path: Path, shapes: Path) -> None:
    folder = shutil.copytree(shapes, tmp_path / "set")
    (folder / "classes.txt").write_text("nothing 0 0 0\nbar 0 200 0\ndisc 200 0 0\n")
    with pytest.raises(DataError, match="its classes are nothing, bar, disc, and not nothing, di"):
        gather(replace(recipes["shapes"], data=(str(shapes), str(folder))), None)


def test_sets_of_the_same_classes_may_show_them_in_other_colors(
    recipes: Recipes, tmp_path: Path, shapes: Path
) -> None:
    folder = shutil.copytree(shapes, tmp_path / "set")
    (folder / "classes.txt").write_text("nothing 0 0 0\ndisc 0 0 200\nbar 9 9 9\n")
    for first, other in ((shapes, folder), (folder, shapes)):
        sources = gather(replace(recipes["shapes"], data=(str(first), str(other))), None)
        assert len(sources.sets) == 2
        assert sources.palette == labels_of(first)


@pytest.fixture
def guessed(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    """Seven pictures with masks that a model made."""
    draw(tmp_path / "drawn", "train", 7, seed=5)
    folder = shutil.copytree(tmp_path / "drawn" / "train", tmp_path / "guessed")
    shutil.copy(tmp_path / "drawn" / "classes.txt", folder)
    (folder / GUESSES).write_text('{"model": "m", "terms": "guesses of m"}')
    return folder


def test_guesses_are_learned_from_and_never_validated_on(
    recipes: Recipes, shapes: Path, guessed: Path
) -> None:
    for holdout, held in ((2, 2), (0, 3)):
        recipe = replace(recipes["shapes"], data=(str(shapes), str(guessed)), holdout=holdout)
        sources = gather(recipe, None)
        assert [len(part) for part in sources.sets] == [10 - holdout, 7]
        assert [len(part) for part in sources.held] == [held]
        assert sources.described[str(guessed)]["terms"] == "guesses of m"
        assert sources.described[str(guessed)]["held_out"] == 0


@pytest.mark.parametrize(("holdout", "where"), [(2, "held out"), (2, "val"), (0, "val")])
def test_guesses_of_pictures_that_scores_are_told_of_are_left_out(
    holdout: int, where: str, recipes: Recipes, shapes: Path, guessed: Path
) -> None:
    """A photograph that is in both sets, reduced and saved anew, would be learned by heart."""
    recipe = replace(recipes["shapes"], data=(str(shapes), str(guessed)), holdout=holdout)
    theirs = gather(recipe, None).held[0][0]
    if where == "val":
        theirs = np.asarray(Image.open(shapes / "val" / "images" / "0.png"))
    height, width = theirs.shape[:2]
    half = (width // 2, height // 2)
    Image.fromarray(theirs).resize(half).save(guessed / "images" / "again.jpg", quality=80)
    Image.new("L", half).save(guessed / "masks" / "again.png")
    sources = gather(recipe, None)
    assert [len(part) for part in sources.sets] == [10 - holdout, 7]
    described = sources.described[str(guessed)]
    assert (described["pictures"], described["repeated"]) == (7, 1)


def test_a_set_shown_twice_gives_twice_the_held_out_pictures(
    recipes: Recipes, shapes: Path, draw: Draw, tmp_path: Path
) -> None:
    other = draw(tmp_path / "other", "train", 10, 5)
    data = (f"{shapes}=2", str(other))
    sources = gather(replace(recipes["shapes"], data=data, holdout=3), None)
    assert [len(part) for part in sources.held] == [2, 1]
    assert [len(part) for part in sources.sets] == [2 * 8, 9]  # what is held out is shown never
    assert sources.described[str(shapes)]["pictures"] == 8


def test_guesses_alone_are_refused(recipes: Recipes, guessed: Path) -> None:
    with pytest.raises(DataError, match="nothing to validate on; name a set with masks made by ha"):
        gather(replace(recipes["shapes"], data=(str(guessed),)), None)


def test_guesses_of_unknown_terms_are_refused(recipes: Recipes, guessed: Path) -> None:
    for text in ("{}", "[1]", "no JSON"):
        (guessed / GUESSES).write_text(text)
        with pytest.raises(DataError, match=r"guesses\.json: .*; label the pictures again"):
            gather(replace(recipes["shapes"], data=(str(guessed),)), None)


def test_a_holdout_is_cut_off_with_its_masks(recipes: Recipes, inks: np.ndarray) -> None:
    sources = gather(replace(recipes["shapes"], holdout=2), None)
    assert isinstance(sources, MaskSources)
    assert [len(part[0]) for part in (sources.sets, sources.held)] == [8, 2]
    seen = set()
    for pictures, masks in ((sources.sets, sources.masks), (sources.held, sources.held_masks)):
        for index in range(len(pictures[0])):
            assert np.array_equal(inks[masks[0][index][..., 0]], pictures[0][index])
            seen.add(pictures[0][index].tobytes())
    assert len(seen) == 10


def batch_of(K: int) -> Batch:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, K, 3, 4, generator=random)
    classes = torch.randint(K, (2, 6, 8), generator=random)
    classes[:, 1] = UNSAID
    return logits, classes


@pytest.mark.parametrize("full", [False, True])
def test_the_loss_is_the_mean_over_the_cells_that_say_a_class(full: bool) -> None:
    """Against the definition, with weights as torch defines them: sum w_c l / sum w_c."""
    logits, classes = batch_of(5)
    if not full:
        classes = classes[:, 1::2, ::2]
        assert bool((classes[:, 0] == UNSAID).all())
    weights = torch.tensor([0.5, 1, 2, 3, 0.1])
    large = logits
    if full:
        large = torch.nn.functional.interpolate(
            logits, scale_factor=2, mode="bilinear", align_corners=False
        )
    logs = torch.log_softmax(large.double(), dim=1).permute(0, 2, 3, 1)
    said = classes != UNSAID
    losses = -logs[said].gather(1, classes[said][:, None])[:, 0]
    chosen = weights[classes[said]].double()
    assert float(loss_of(logits, classes, None)) == pytest.approx(float(losses.mean()), abs=1e-5)
    expected = float((chosen * losses).sum() / chosen.sum())
    assert float(loss_of(logits, classes, weights)) == pytest.approx(expected, abs=1e-5)


def test_nothing_said_is_no_loss() -> None:
    logits, classes = batch_of(5)
    loss = loss_of(logits.requires_grad_(), torch.full_like(classes, UNSAID), None)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("loss_at", ["stride", "full"])
def test_validation_scores_against_their_definitions(recipes: Recipes, loss_at: str) -> None:
    recipe = replace(recipes["shapes"], loss_at=loss_at, ema=0.0)  # type: ignore[arg-type]
    run = assembled(recipe)
    held = list(run.sources.validation(recipe, run.network.stride))
    found = validate(run, held)
    assert run.network.training
    run.network.eval()
    true, guessed, losses = [], [], []
    for inputs, classes in held:
        with torch.inference_mode():
            logits = fit.fitted(run.network(inputs), classes)
        logs = torch.log_softmax(logits, dim=1).permute(0, 2, 3, 1)
        said = classes != UNSAID
        true += classes[said].tolist()
        guessed += logs[said].argmax(dim=1).tolist()
        losses += (-logs[said].gather(1, classes[said][:, None])[:, 0]).tolist()
    t, g = np.array(true), np.array(guessed)
    ious = [((t == k) & (g == k)).sum() / ((t == k) | (g == k)).sum() for k in np.unique(t)]
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert found["accuracy"] == pytest.approx((t == g).mean())
    assert found["mean_iou"] == pytest.approx(np.mean(ious))


def test_running_means_cover_what_learns(recipes: Recipes) -> None:
    run = assembled(recipes["frozen"])
    assert (
        set(run.ema)
        == {"classifier.4.weight", "classifier.4.bias"}
        == set(learned_state(run.network))
    )
