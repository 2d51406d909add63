"""Kept features: learning from them is learning from the pictures, and no stale one is used."""

import errno
import json
import os
import shutil
import signal
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from limner.errors import DataError, TrainingError
from limner.learn import checkpoint, features, fit
from limner.learn.loading import data
from limner.learn.loading.sources import gather
from limner.learn.loading.views import UNSAID
from limner.learn.release import trained
from limner.learn.run import assemble, build
from limner.networks.deeplab import DeepLabV3
from limner.recipe import LossAt, Recipe

Recipes = dict[str, Recipe]
SAMPLE = Path(__file__).parents[1] / "data" / "sample"
# Of the weights' largest. Measured here: 0.0008, of weights and of their means; on a network of the
# usual size, and of the logits: benchmarks/cached_features.py.
BF16_BOUND = 0.004


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the test's own, and the published weights' place taken by random ones."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random_or_ours = DeepLabV3.load_pretrained

    def load(network: DeepLabV3) -> None:
        if str(network.arguments["encoder"]).startswith("timm/"):
            random_or_ours(network)

    monkeypatch.setattr(DeepLabV3, "load_pretrained", load)
    yield tmp_path / "cache" / "limner"


@pytest.fixture
def frozen(recipes: Recipes) -> Recipe:
    return replace(recipes["frozen"], views=2, epochs=5)


def train(recipe: Recipe, folder: Path, report: Any = None) -> Path:
    fit.start(recipe, folder, precision="fp32", device="cpu", report=report)
    return folder


def kept(cache: Path) -> set[str]:
    return {file.name for file in cache.iterdir() if "features" in file.name}


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(run)[1]


def records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": 0} for line in lines]


def assert_same(one: Path, other: Path) -> None:
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    assert [n for n, value in first.items() if not torch.equal(value, second[n])] == []
    assert records(one) == records(other)


@pytest.mark.parametrize("loss_at", ["stride", "full"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"class_weights": "inverse", "views": 1},
        {"encoder": "mobilenet_v3_large", "width": 256, "batch": 3, "size": 64, "epochs": 2},
    ],
    ids=["ours", "class weights", "mobilenet"],
)
def test_cached_is_uncached_bit_for_bit(
    frozen: Recipe, tmp_path: Path, loss_at: LossAt, changes: dict[str, Any]
) -> None:
    recipe = replace(frozen, loss_at=loss_at, **changes)
    plain = train(recipe, tmp_path / "plain")
    cached = train(replace(recipe, cache="fp32"), tmp_path / "cached")
    assert_same(cached, plain)
    learned = {name for name in tensors(plain) if name.startswith("network/")}
    assert learned == {"network/classifier.4.weight", "network/classifier.4.bias"}


def test_batches_of_a_size_that_vectors_do_not_divide_are_close(
    frozen: Recipe, tmp_path: Path
) -> None:
    """An encoder with SiLU: a picture's last bits depend on its place in a batch of three."""
    recipe = replace(frozen, batch=3)
    plain = tensors(train(recipe, tmp_path / "plain"))
    cached = tensors(train(replace(recipe, cache="fp32"), tmp_path / "cached"))
    for name in ("network/classifier.4.weight", "network/classifier.4.bias"):
        torch.testing.assert_close(cached[name], plain[name], rtol=0, atol=1e-4)


def test_another_seed_learns_something_else(frozen: Recipe, tmp_path: Path) -> None:
    """The control of the test above: what it compares can differ."""
    train(frozen, tmp_path / "plain")
    train(replace(frozen, cache="fp32", seed=4), tmp_path / "cached")
    with pytest.raises(AssertionError):
        assert_same(tmp_path / "cached", tmp_path / "plain")


def test_bf16_is_close_and_half_the_size(frozen: Recipe, tmp_path: Path, cache: Path) -> None:
    exact = train(replace(frozen, cache="fp32"), tmp_path / "fp32")
    (full,) = kept(cache)
    rounded = train(replace(frozen, cache="bf16"), tmp_path / "bf16")
    (half,) = kept(cache) - {full}
    header = 128
    assert 2 * ((cache / half).stat().st_size - header) == (cache / full).stat().st_size - header
    rows = torch.from_numpy(np.load(cache / full))
    near = torch.from_numpy(np.load(cache / half)).view(torch.bfloat16).float()
    assert bool(((near - rows).abs() <= rows.abs() / 256).all())  # eight bits of each number
    for name in ("network/classifier.4.weight", "ema/classifier.4.weight"):
        one, other = tensors(exact)[name], tensors(rounded)[name]
        difference = float((one - other).abs().max() / one.abs().max())
        assert 0 < difference < BF16_BOUND


def test_features_are_computed_once(
    frozen: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(frozen, cache="fp32")
    computed: list[int] = []
    real = features.last_inputs

    def counting(run: Any, inputs: torch.Tensor) -> torch.Tensor:
        computed.append(len(inputs))
        return real(run, inputs)

    monkeypatch.setattr(features, "last_inputs", counting)
    one = train(recipe, tmp_path / "one")
    # Two views of ten pictures in batches of four, the last filled, and three to validate.
    assert computed == [4, 4, 4, 4, 4, 4, 3]
    again = train(replace(recipe, learning_rate=5e-3), tmp_path / "again")
    longer = train(replace(recipe, epochs=6, name="longer"), tmp_path / "longer")
    assert len(computed) == 7
    with pytest.raises(AssertionError):
        assert_same(one, again)
    assert checkpoint.load(longer)[0] == 12


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 4},
        {"views": 1},
        {"size": 48},
        {"zoom": 0.7},
        {"flip": False},
        {"tone": 0.0},
        {"batch": 3},
        {"loss_at": "full"},
        {"width": 9},
        {"cache": "bf16"},
        {"foreground": ("disc",)},
        {"holdout": 2},
        {"pictures": 9},
    ],
    ids=str,
)
def test_whatever_features_depend_on_makes_others(
    frozen: Recipe, tmp_path: Path, cache: Path, changes: dict[str, Any]
) -> None:
    recipe = replace(frozen, cache="fp32", epochs=0, steps=1)
    train(recipe, tmp_path / "one")
    before = kept(cache)
    train(replace(recipe, **changes), tmp_path / "other")
    assert len(before) == 1
    assert len(kept(cache)) == 2


def test_other_pixels_weights_and_sets_make_others(
    frozen: Recipe, tmp_path: Path, cache: Path, draw: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = draw(draw(tmp_path / "set", "train", 5, 1), "val", 2, 2)
    other = draw(draw(tmp_path / "other", "train", 5, 3), "val", 2, 4)
    recipe = replace(frozen, cache="fp32", data=(str(folder),), epochs=0, steps=1)
    count = 0

    def trained_anew(recipe: Recipe) -> None:
        nonlocal count
        count += 1
        train(recipe, tmp_path / f"run{count}")
        assert len(kept(cache)) == count

    trained_anew(recipe)
    trained_anew(replace(recipe, data=(str(folder), str(other))))
    trained_anew(replace(recipe, data=(str(other), str(folder))))
    for file in ("train/images/0.png", "train/masks/1.png", "val/images/1.png", "val/masks/0.png"):
        change_a_pixel(folder / file)
        trained_anew(recipe)
    real = DeepLabV3.load_pretrained

    def load(network: DeepLabV3) -> None:
        real(network)
        with torch.no_grad():
            next(network.parameters()).mul_(1.001)

    monkeypatch.setattr(DeepLabV3, "load_pretrained", load)
    trained_anew(recipe)


@pytest.mark.parametrize("part", [features, data], ids=["views", "pixels"])
def test_another_format_makes_others(
    frozen: Recipe, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, part: Any
) -> None:
    recipe = replace(frozen, cache="fp32", epochs=0, steps=1)
    train(recipe, tmp_path / "one")
    before = kept(cache)
    monkeypatch.setattr(part, "FORMAT", part.FORMAT + 1)
    train(recipe, tmp_path / "other")
    assert len(kept(cache) - before) == 1


def test_a_colorizers_other_validation_pictures_make_others(
    recipes: Recipes, tmp_path: Path, cache: Path
) -> None:
    album = shutil.copytree(SAMPLE, tmp_path / "album")
    recipe = replace(
        recipes["crops"], data=(str(album),), holdout=0, palette="horse24", learn=("out",),
        cache="fp32", views=1, steps=1, warmup=0,
    )  # fmt: skip
    train(recipe, tmp_path / "one")
    train(recipe, tmp_path / "again")
    assert len(kept(cache)) == 1
    change_a_pixel(album / "val" / "flag.png")
    train(recipe, tmp_path / "other")
    assert len(kept(cache)) == 2


def change_a_pixel(path: Path) -> None:
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[3, 3] = 1 - np.minimum(pixels[3, 3], 1)  # of a mask, another class
    Image.fromarray(pixels).save(path)


def test_half_written_features_are_never_used(
    frozen: Recipe, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(frozen, cache="fp32")
    straight = train(recipe, tmp_path / "straight")
    (name,) = kept(cache)
    whole = (cache / name).read_bytes()
    (cache / name).unlink()
    real = features.last_inputs
    calls = 0

    class Killed(BaseException):
        pass

    def dies(run: Any, inputs: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Killed
        return real(run, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(features, "last_inputs", dies)
        with pytest.raises(Killed):
            train(recipe, tmp_path / "run")
    # A kill that nothing could catch leaves what it had written under another name.
    (cache / name).with_suffix(".1234").write_bytes(whole[:1000])
    assert not (cache / name).exists()
    fit.resume(tmp_path / "run")
    assert (cache / name).read_bytes() == whole
    assert_same(tmp_path / "run", straight)


class Full:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def write(self, content: bytes) -> int:
        self.room -= len(content)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written: int = self.file.write(content)
        return written


@pytest.mark.parametrize("room", [0, 20_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    frozen: Recipe, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    recipe = replace(frozen, cache="fp32")
    real = Path.open

    def opened(path: Path, mode: str = "r", *options: Any, **named: Any) -> Any:
        file = real(path, mode, *options, **named)
        return Full(file, room) if "w" in mode and ".features" in path.name else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with pytest.raises(DataError, match=r"features cannot be written \(No space left") as error:
            train(recipe, tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1
    assert str(cache) in str(error.value)
    left = {file.name.partition(".")[2] for file in cache.iterdir()}
    assert left == {"pixels", "sides.npy"}  # of the decoded pictures
    fit.resume(tmp_path / "run")  # once there is room
    assert_same(tmp_path / "run", train(recipe, tmp_path / "straight"))


Usage = namedtuple("Usage", ["total", "used", "free"])


def test_the_size_is_told_before_it_is_taken(
    frozen: Recipe, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(frozen, cache="fp32")
    told: list[dict[str, Any]] = []

    def report(done: int, total: int, record: dict[str, Any] | None) -> None:
        if record and "caching" in record:
            told.append({"done": done, "total": total, **record})

    rows = 2 * 10 + 3
    needed = rows * (8 * 8 * 8 * 4 + 8 * 8 * 2)  # features of width 8 in float32, classes in int16
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, needed - 1))
        with pytest.raises(DataError, match=r"take 0 MB, and 0 MB are free") as error:
            train(recipe, tmp_path / "full")
    assert len(str(error.value).splitlines()) == 1
    assert not kept(cache)
    train(recipe, tmp_path / "run", report)
    assert told[0]["bytes"] == needed
    assert (told[0]["done"], told[0]["total"]) == (0, rows)
    assert [record["done"] for record in told[1:]] == [rows]
    (name,) = kept(cache)
    assert told[0]["caching"] == str(cache / name)
    written = (cache / name).stat().st_size
    written += (cache / name.replace("features", "classes")).stat().st_size
    assert written == needed + 2 * 128  # two headers


def test_more_than_the_last_layer_cannot_be_cached(
    frozen: Recipe, tmp_path: Path, cache: Path
) -> None:
    for learn, first in (
        (("all",), "backbone"),
        (("classifier.1", "classifier.4"), "classifier.1"),
    ):
        message = f"{first}.* learns.*set learn = 'classifier.4'"
        with pytest.raises(TrainingError, match=message) as error:
            train(replace(frozen, cache="fp32", learn=learn), tmp_path / "run")
        assert len(str(error.value).splitlines()) == 1
        assert not (tmp_path / "run" / "run.json").exists()
    assert not kept(cache)
    train(replace(frozen, cache="fp32", learn=("classifier.4.bias",), epochs=1), tmp_path / "run")
    names = [name for name in tensors(tmp_path / "run") if name.startswith("network/")]
    assert names == ["network/classifier.4.bias"]


@pytest.mark.parametrize("stop", [1, 3])
def test_a_cached_run_stopped_and_resumed_is_one_that_never_stopped(
    frozen: Recipe, tmp_path: Path, cache: Path, stop: int
) -> None:
    recipe = replace(frozen, cache="fp32")
    straight = train(recipe, tmp_path / "straight")

    def report(done: int, steps: int, record: dict[str, Any] | None) -> None:
        if record is None and done == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(fit.Stopped):
        train(recipe, tmp_path / "run", report)
    for file in kept(cache) if stop == 1 else ():
        (cache / file).unlink()  # and where the cache was emptied in between
    fit.resume(tmp_path / "run")
    assert_same(tmp_path / "run", straight)


def test_rows_are_what_the_network_says(frozen: Recipe, tmp_path: Path, cache: Path) -> None:
    """Rows stand view after view, then the validation pictures; classes are 16-bit, -100 unsaid."""
    run = train(replace(frozen, cache="fp32", epochs=0, steps=1), tmp_path / "run")
    (name,) = kept(cache)
    rows = np.load(cache / name)
    classes = np.load(cache / name.replace("features", "classes"))
    assert rows.shape == (23, 8, 8, 8)
    assert rows.dtype == np.float32
    assert classes.shape == (23, 8, 8)
    assert classes.dtype == np.int16
    assert set(np.unique(classes)) == {0, 1, 2, UNSAID}
    network = trained(run)[2]
    views = gather(frozen, None).batches(frozen, network.stride)
    for row, (index, view) in {0: (0, 0), 7: (7, 0), 10: (0, 1), 19: (9, 1)}.items():
        inputs, said = views.batch(np.array([index]), view)  # type: ignore[attr-defined]
        with torch.inference_mode():
            expected = network.features(inputs)[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(rows[row], expected, rtol=0, atol=1e-4)
        assert np.array_equal(said[0], classes[row])


def test_validation_rows_are_read_from_the_file_each_time(
    frozen: Recipe, tmp_path: Path, cache: Path
) -> None:
    recipe = replace(frozen, cache="bf16")
    sources = gather(recipe, None)
    network = build(recipe, sources.palette, pretrained=False)
    run = assemble(tmp_path, recipe, sources, network, "fp32", torch.device("cpu"))
    held = features.use_features(run, None)
    once, again = list(held), list(held)
    assert [len(classes) for _, classes in once] == [3]
    for (x, classes), (y, same) in zip(once, again, strict=True):
        assert torch.equal(x, y) and torch.equal(classes, same)
        assert bool(x.any())
    (name,) = kept(cache)
    np.load(cache / name, mmap_mode="r+")[20:] = 0
    assert not any(bool(x.any()) for x, _ in held)
