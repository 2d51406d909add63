"""MaskViews: which crop of which picture a step sees, and that its mask goes where it goes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limner.learn.loading.sources import MaskSources, gather
from limner.learn.loading.views import UNSAID, MaskViews, middles
from limner.masks.labels import IGNORED
from limner.recipe import Recipe

Recipes = dict[str, Recipe]
STRIDE = 4


def views_of(recipe: Recipe, stride: int = STRIDE) -> MaskViews:
    views = gather(recipe, None).batches(recipe, stride)
    assert isinstance(views, MaskViews)
    return views


def equal(one: object, other: object) -> bool:
    assert isinstance(one, tuple)
    assert isinstance(other, tuple)
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_view_depends_on_seed_picture_and_number_alone(recipes: Recipes) -> None:
    recipe = recipes["shapes"]
    views = views_of(recipe)
    first = views.view(3, 2)
    for step in (0, 5, 1):
        views(step)
    assert equal(views.view(3, 2), first)
    others = replace(recipe, batch=3, epochs=0, steps=7, views=9, learning_rate=0.5, shuffle=True)
    assert equal(views_of(others).view(3, 2), first)
    assert not equal(views.view(3, 1), first)
    assert not equal(views_of(replace(recipe, seed=4)).view(3, 2), first)
    # Of the same pixels: another picture's number gives another view.
    views.pairs[4] = views.pairs[3]
    assert not equal(views.view(4, 2), first)


def test_an_epoch_sees_every_picture_once_but_those_too_few_for_a_batch(recipes: Recipes) -> None:
    views = views_of(recipes["shapes"])
    assert views.per_epoch == 2
    left_out: set[int] = set()
    for epoch in range(4):
        seen = [views.shown(2 * epoch + place) for place in (0, 1)]
        assert [view for _, view in seen] == [epoch, epoch]
        chosen = np.concatenate([chosen for chosen, _ in seen])
        assert len(chosen) == 8  # of ten
        assert len(set(chosen.tolist())) == 8
        left_out |= set(range(10)) - set(chosen.tolist())
    assert len(left_out) > 2  # not always the same ones


def test_views_come_again_in_turn(recipes: Recipes) -> None:
    views = views_of(replace(recipes["shapes"], views=3))
    assert [views.shown(2 * epoch)[1] for epoch in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    orders = [views.shown(2 * epoch)[0].tolist() for epoch in (0, 3)]
    assert orders[0] != orders[1]  # the same views, in another order


def test_a_set_may_be_shown_several_times_an_epoch(
    recipes: Recipes, shapes: Path, draw: Callable[..., Path], tmp_path: Path
) -> None:
    """Each time in another view, beside a set that is shown once."""
    once = draw(tmp_path / "once", "train", 4, 3)
    draw(once, "val", 1, 4)
    recipe = replace(recipes["shapes"], data=(f"{shapes}=3", str(once)), batch=2)
    views = views_of(recipe)
    assert views.per_epoch == 17  # 3 x 10 + 4
    order = np.concatenate([views.shown(step)[0] for step in range(17)])
    counts = Counter(views.pairs[index][0].tobytes() for index in order)
    assert sorted(counts.values()) == [1] * 4 + [3] * 10
    assert np.array_equal(views.pairs[3][0], views.pairs[13][0])
    assert not equal(views.view(3, 0), views.view(13, 0))


def test_a_batch_is_the_views_of_its_pictures(recipes: Recipes) -> None:
    recipe = replace(recipes["shapes"], views=2)
    views = views_of(recipe)
    for step in (0, 3):
        chosen, view = views.shown(step)
        inputs, classes = views(step)
        assert inputs.dtype == torch.float32
        assert inputs.shape == (4, 3, 32, 32)
        assert classes.dtype == torch.int64
        assert classes.shape == (4, 8, 8)
        for row, index in enumerate(chosen):
            expected, mask = views.view(int(index), view)
            assert np.array_equal(inputs[row], expected)
            small = mask[2::4, 2::4].astype(int)
            assert np.array_equal(classes[row], np.where(small == IGNORED, UNSAID, small))
        full = views_of(replace(recipe, loss_at="full"))(step)[1]
        assert full.shape == (4, 32, 32)
        assert torch.equal(full[:, 2::4, 2::4], classes)


def inside(classes: np.ndarray) -> np.ndarray:
    """Where all eight neighbors are of the same class: bool [H, W], False at the edge."""
    windows = np.lib.stride_tricks.sliding_window_view(classes, (3, 3))
    found = np.zeros(classes.shape, bool)
    found[1:-1, 1:-1] = (windows == classes[1:-1, 1:-1, None, None]).all(axis=(2, 3))
    return found


@pytest.mark.parametrize("zoom", [1.0, 0.5])
def test_mask_and_picture_stay_together(recipes: Recipes, inks: np.ndarray, zoom: float) -> None:
    """The pictures' colors are their masks': what crop, size and mirror do, they do to both."""
    recipe = replace(recipes["shapes"], tone=0.0, zoom=zoom)
    views, straight = views_of(recipe), views_of(replace(recipe, flip=False))
    mirrored = wrong = 0
    for index in range(10):
        for view in range(4):
            inputs, mask = views.view(index, view)
            rgb = np.moveaxis(np.rint(255 * inputs), 0, -1)
            where = inside(mask)
            assert where.mean() > 0.3
            assert np.array_equal(rgb[where], inks[mask][where])
            wrong += not np.array_equal(rgb[where], inks[mask[:, ::-1]][where])
            unmirrored = straight.view(index, view)[1]
            mirrored += np.array_equal(mask, unmirrored[:, ::-1])
    assert wrong > 20  # control: a mask mirrored alone does not fit
    assert 10 < mirrored < 30  # about half of 40


def test_tone_changes_inputs_and_no_class(recipes: Recipes) -> None:
    plain, aged = (views_of(replace(recipes["shapes"], tone=tone)).view(1, 1) for tone in (0, 0.5))
    assert np.array_equal(plain[1], aged[1])
    assert not np.array_equal(plain[0], aged[0])
    assert aged[0].min() >= 0
    assert aged[0].max() <= 1


def test_ignored_pixels_are_unsaid(recipes: Recipes) -> None:
    views = views_of(replace(recipes["shapes"], loss_at="full"))
    seen = set()
    for index in range(10):
        mask = views.view(index, 0)[1]
        classes = views.batch(np.array([index]), 0)[1][0].numpy()
        assert np.array_equal(classes == UNSAID, mask == IGNORED)
        assert np.array_equal(classes[mask != IGNORED], mask[mask != IGNORED])
        seen |= set(np.unique(classes).tolist())
    assert seen == {UNSAID, 0, 1, 2}


@pytest.mark.parametrize("stride", [1, 4, 8, 16])
def test_labels_come_down_by_the_nearest(recipes: Recipes, stride: int) -> None:
    """A pixel next to the middle of each cell, never a class that no pixel there has."""
    full = views_of(replace(recipes["shapes"], loss_at="full"), stride)(1)[1]
    small = views_of(recipes["shapes"], stride)(1)[1]
    side = 32 // stride
    assert small.shape == (4, side, side)
    for row in range(side):
        for column in range(side):
            middle = [
                full[:, row * stride + down, column * stride + right]
                for down in {(stride - 1) // 2, stride // 2}
                for right in {(stride - 1) // 2, stride // 2}
            ]
            found = torch.stack([small[:, row, column] == m for m in middle])
            assert bool(found.any(dim=0).all())


def test_validation_sees_the_middle_of_every_picture(recipes: Recipes, inks: np.ndarray) -> None:
    recipe = replace(recipes["shapes"], size=48, loss_at="full", batch=2)
    sources = gather(recipe, None)
    assert isinstance(sources, MaskSources)
    batches = list(middles(sources.held, sources.held_masks, recipe, STRIDE))
    assert [len(inputs) for inputs, _ in batches] == [2, 1]
    for number, (inputs, classes) in enumerate(
        (x, y) for batch in batches for x, y in zip(*batch, strict=True)
    ):
        file = Path(recipe.data[0]) / "val" / "masks" / f"{number}.png"
        with Image.open(file) as image:
            mask = np.asarray(image)
        height, width = mask.shape
        side = min(height, width)
        centers = (np.arange(48) + 0.5) * side / 48
        rows = ((height - side) / 2 + centers).astype(int)
        columns = ((width - side) / 2 + centers).astype(int)
        near = mask[rows][:, columns]
        found = np.where(classes.numpy() == UNSAID, IGNORED, classes.numpy())
        where = inside(near)
        assert where.mean() > 0.3
        assert np.array_equal(found[where], near[where])
        rgb = np.moveaxis(np.rint(255 * inputs.numpy()), 0, -1)
        assert np.array_equal(rgb[where], inks[near][where])
