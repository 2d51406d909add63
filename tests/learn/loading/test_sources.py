"""A recipe's sets, cut into what is learned from and what validates, the same every time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limner.dataset import find
from limner.errors import DataError, PaletteError
from limner.learn.loading.data import Pictures
from limner.learn.loading.sources import gather
from limner.palette import Palette
from limner.recipe import Recipe
from limner.weights import palette as embedded_palette

HOLDOUT = Recipe(network="cnn", data=("sample=1", "cifar10:all=3"), holdout=8, size=16, steps=1)
SPLIT = Recipe(network="cnn", data=("cifar10:horse",), epochs=1, batch=10)


def contents(pictures: Pictures) -> list[bytes]:
    return [pictures[index].tobytes() for index in range(len(pictures))]


def test_a_holdout_is_shared_by_weight_and_cut_off_for_good() -> None:
    sources = gather(HOLDOUT, None)
    assert [len(held) for held in sources.held] == [1, 6]  # a fifth at most
    assert [len(kept) for kept in sources.sets] == [3, 34]
    for kept, held, spec in zip(sources.sets, sources.held, ("sample", "cifar10:all"), strict=True):
        every = gather(replace(HOLDOUT, data=(spec,), holdout=1), None)
        whole = contents(every.sets[0]) + contents(every.held[0])
        assert not set(contents(kept)) & set(contents(held))
        assert sorted(contents(kept) + contents(held)) == sorted(whole)


def test_the_cut_is_the_same_for_every_seed() -> None:
    one, other = gather(HOLDOUT, None), gather(replace(HOLDOUT, seed=77, learning_rate=0.1), None)
    for a, b in zip(one.held + one.sets, other.held + other.sets, strict=True):
        assert contents(a) == contents(b)


def test_without_a_holdout_the_val_splits_validate() -> None:
    sources = gather(SPLIT, None)
    train, val = find("cifar10", "train").images, find("cifar10", "val").images
    assert train is not None
    assert val is not None
    assert contents(sources.sets[0]) == [image.tobytes() for image in train]
    assert contents(sources.held[0]) == [image.tobytes() for image in val]
    assert sources.per_epoch == 4  # 31 horses in tens
    described = sources.described["cifar10:horse"]
    assert described["pictures"] == 31
    assert described["fingerprint"] == find("cifar10", "train").fingerprint()
    assert "Krizhevsky" in described["terms"]


@pytest.mark.parametrize(
    ("sets", "holdout", "cut"),
    [
        (("sample",), 400, [1]),  # a fifth of 4, and one at least
        (("sample=1", "cifar10:all=99"), 20, [1, 8]),
        (("sample=99", "cifar10:all=1"), 5, [1, 1]),
    ],
)
def test_a_small_set_gives_a_fifth_at_most(
    sets: tuple[str, ...], holdout: int, cut: list[int]
) -> None:
    sources = gather(replace(HOLDOUT, data=sets, holdout=holdout), None)
    assert [len(held) for held in sources.held] == cut
    assert [told["held_out"] for told in sources.described.values()] == cut


def test_one_picture_cannot_be_split(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "only.png")
    with pytest.raises(DataError, match="cannot be split"):
        gather(replace(HOLDOUT, data=(str(tmp_path),)), None)


def test_a_folder_without_splits_needs_a_holdout(tmp_path: Path) -> None:
    for n in range(3):
        Image.new("RGB", (20, 20), (n * 80, 0, 0)).save(tmp_path / f"{n}.png")
    recipe = replace(HOLDOUT, data=(str(tmp_path),))
    with pytest.raises(DataError, match="--set holdout"):
        gather(replace(recipe, holdout=0), None)
    sources = gather(replace(recipe, holdout=1), None)
    assert [len(sources.sets[0]), len(sources.held[0])] == [2, 1]


@pytest.mark.parametrize("recipe", [HOLDOUT, SPLIT], ids=["crops", "whole"])
def test_validation_sees_every_held_picture_once(recipe: Recipe) -> None:
    sources = gather(recipe, None)
    batches = list(sources.validation(recipe, 1))
    assert sum(len(inputs) for inputs, _ in batches) == sum(map(len, sources.held))
    for inputs, classes in batches:
        side = recipe.size or 32
        assert inputs.shape[1:] == (1, side, side)
        assert classes.shape == (len(inputs), side, side)
    again = list(sources.validation(recipe, 1))
    for one, other in zip(batches, again, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    if not recipe.size:
        val = find("cifar10", "val").images
        assert val is not None
        mean = torch.from_numpy(val.astype(np.float32).mean(axis=3) / 255)
        torch.testing.assert_close(batches[0][0][:, 0], mean)


def test_palettes_come_from_the_data_a_name_a_file_or_the_caller(tmp_path: Path) -> None:
    grid = gather(replace(HOLDOUT, palette="grid"), None).palette
    assert grid.space == "ab"
    assert np.array_equal(grid.colors % 10, np.zeros_like(grid.colors))
    assert gather(replace(HOLDOUT, palette="grid", seed=4), None).palette == grid  # all are drawn
    assert gather(HOLDOUT, None).palette == embedded_palette("horse24")
    mine = Palette("ab", np.array([[0, 0], [20, 20]]))
    mine.save(tmp_path / "mine.json")
    assert gather(replace(HOLDOUT, palette=str(tmp_path / "mine.json")), None).palette == mine
    assert gather(HOLDOUT, mine).palette == mine
    with pytest.raises(PaletteError, match="horse24"):
        gather(replace(HOLDOUT, palette="nobodys"), None)


def test_the_grid_is_learned_from_training_pictures_alone(tmp_path: Path) -> None:
    for n in range(8):
        Image.new("RGB", (20, 20), (30 * n, 255 - 30 * n, 128)).save(tmp_path / f"{n}.png")
    recipe = replace(HOLDOUT, data=(str(tmp_path),), holdout=4, palette="grid")
    sources = gather(recipe, None)
    colors = {tuple(sources.sets[0][i][0, 0]) for i in range(len(sources.sets[0]))}
    assert len(sources.palette) == len(colors)


def test_crops_or_whole_pictures_as_the_recipe_says() -> None:
    sources = gather(SPLIT, None)
    inputs, classes = sources.batches(replace(SPLIT, shuffle=False), 1)(0)
    train = find("cifar10", "train").images
    assert train is not None
    mean = torch.from_numpy(train[:10].astype(np.float32).mean(axis=3) / 255)
    torch.testing.assert_close(inputs[:, 0], mean)
    assert classes.shape == (10, 32, 32)
    inputs, _ = gather(HOLDOUT, None).batches(HOLDOUT, 1)(0)
    assert inputs.shape == (100, 1, 16, 16)
    with pytest.raises(DataError, match="`size`"):
        gather(replace(SPLIT, data=("sample",)), None).batches(SPLIT, 1)


def test_a_recipe_may_learn_from_a_sets_first_pictures() -> None:
    every, some = gather(SPLIT, None), gather(replace(SPLIT, pictures=12), None)
    assert contents(some.sets[0]) == contents(every.sets[0])[:12]
    assert contents(some.held[0]) == contents(every.held[0])
    assert some.described["cifar10:horse"]["pictures"] == 12
    assert some.per_epoch == 2
    with pytest.raises(DataError, match="31 pictures, and the recipe asks for pictures = 32"):
        gather(replace(SPLIT, pictures=32), None)


@pytest.mark.parametrize("recipe", [SPLIT, HOLDOUT], ids=["whole", "crops"])
def test_an_affine_input_changes_all_inputs_and_no_class(recipe: Recipe) -> None:
    changed = replace(recipe, scale=-2.0, shift=0.5)
    plain, affine = gather(recipe, None), gather(changed, None)
    pairs = [
        (plain.batches(recipe, 1)(3), affine.batches(changed, 1)(3)),
        *zip(plain.validation(recipe, 1), affine.validation(changed, 1), strict=True),
    ]
    assert len(pairs) > 1
    for (x, classes), (seen, its_classes) in pairs:
        torch.testing.assert_close(seen, -2 * x + 0.5)
        assert torch.equal(classes, its_classes)
