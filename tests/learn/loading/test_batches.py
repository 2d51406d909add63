"""A step's batch depends on the recipe and the step alone, and holds what its pictures hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from limner.color import rgb8_to_lab
from limner.dataset import find
from limner.errors import DataError
from limner.learn.loading import data
from limner.learn.loading.batches import (
    Batch,
    Crops,
    Whole,
    ahead,
    as_tensors,
    inputs_and_classes,
    moved,
    stack,
)  # fmt: skip
from limner.learn.loading.data import Pictures
from limner.palette import Palette
from limner.recipe import Recipe

CROPS = Recipe(steps=9, size=16, zoom=0.5, flip=True, tone=0.3, batch=5, seed=3)
WHOLE = Recipe(epochs=2, batch=7)
AB = Palette("ab", np.array([[0, 0], [30, 20], [-20, 30], [10, -40]]))
RGB = Palette("rgb", np.random.default_rng(0).uniform(0, 255, (24, 3)).astype(np.float32))


def pictures(*colors: tuple[int, int, int], n: int = 3, side: int = 20) -> Pictures:
    """n pictures of each color."""
    pixels = np.repeat(np.array(colors, np.uint8), n * side * side, axis=0)
    count = n * len(colors)
    starts = np.arange(count, dtype=np.int64) * 3 * side * side
    return Pictures(pixels.reshape(-1), np.full((count, 2), side, np.int64), starts)


def sample() -> Pictures:
    return data.load(find("sample", "train"))


def crops(recipe: Recipe = CROPS, palette: Palette = AB) -> Crops:
    return Crops([sample(), pictures((200, 10, 10))], [3.0, 1.0], recipe, palette, 4)


def whole(recipe: Recipe = WHOLE, n: int = 31) -> Whole:
    """n inputs that hold their own number, and classes that do too."""
    numbers = torch.arange(n)
    light = numbers.float().reshape(-1, 1, 1, 1).expand(n, 1, 4, 4)
    classes = numbers.to(torch.uint8).reshape(-1, 1, 1).expand(n, 4, 4)
    return Whole(light, classes, recipe)


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# Inputs and classes


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("palette", [AB, RGB], ids=["ab", "rgb"])
def test_inputs_and_classes_are_as_defined(palette: Palette, stride: int) -> None:
    """Against a loop over every cell."""
    rgb = np.random.default_rng(1).integers(0, 256, (2, 8, 12, 3)).astype(np.uint8)
    light, classes = inputs_and_classes(rgb, palette, stride)
    assert light.shape == (2, 1, 8, 12)
    assert light.dtype == np.float32
    assert classes.shape == (2, 8 // stride, 12 // stride)
    assert classes.dtype == np.int64
    lab = rgb8_to_lab(rgb)
    for n in range(2):
        for y in range(8):
            for x in range(12):
                mean = int(rgb[n, y, x, 0]) + int(rgb[n, y, x, 1]) + int(rgb[n, y, x, 2])
                expected = mean / 3 / 255 if palette is RGB else lab[n, y, x, 0] / 100
                assert light[n, 0, y, x] == pytest.approx(expected, abs=1e-6)
        for row in range(8 // stride):
            for column in range(12 // stride):
                down = slice(row * stride, (row + 1) * stride)
                right = slice(column * stride, (column + 1) * stride)
                values = rgb[n, down, right] if palette is RGB else lab[n, down, right, 1:]
                mean = values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
                distance = np.linalg.norm(palette.colors - mean, axis=1)
                chosen = distance[classes[n, row, column]]
                assert chosen == pytest.approx(distance.min(), abs=1e-3)


def test_grey_has_no_chroma_and_white_is_one() -> None:
    grey = np.full((1, 4, 4, 3), 255, np.uint8)
    light, classes = inputs_and_classes(grey, AB, 4)
    assert light.max() == pytest.approx(1, abs=1e-4)
    assert classes.tolist() == [[[0]]]  # the class of (0, 0)


# Crops


def test_a_batch_of_crops_depends_on_the_step_alone() -> None:
    batches = crops()
    inputs, classes = batches(4)
    assert inputs.shape == (5, 1, 16, 16)
    assert classes.shape == (5, 4, 4)
    assert classes.dtype == torch.int64
    for step in (0, 9, 4):
        batches(step)
    assert equal(batches(4), (inputs, classes))
    assert equal(crops()(4), (inputs, classes))
    assert not equal(batches(5), (inputs, classes))
    assert not equal(crops(replace(CROPS, seed=4))(4), (inputs, classes))


def test_tone_changes_the_inputs_and_never_the_classes() -> None:
    plain, aged = crops(replace(CROPS, tone=0.0))(2), crops(replace(CROPS, tone=0.8))(2)
    assert torch.equal(plain[1], aged[1])
    assert not torch.equal(plain[0], aged[0])
    assert 0 <= float(aged[0].min()) <= float(aged[0].max()) <= 1


def test_flip_mirrors_inputs_and_classes_together() -> None:
    flat = replace(CROPS, tone=0.0, batch=20, flip=False)
    straight, flipped = crops(flat)(1), crops(replace(flat, flip=True))(1)
    mirrored = 0
    for n in range(20):
        if torch.equal(straight[0][n], flipped[0][n]):
            assert torch.equal(straight[1][n], flipped[1][n])
        else:
            mirrored += 1
            assert torch.equal(straight[0][n].flip(-1), flipped[0][n])
            assert torch.equal(straight[1][n].flip(-1), flipped[1][n])
    assert mirrored > 0


def test_sets_are_drawn_by_their_weights_and_pictures_evenly() -> None:
    """Each set has its own colors, so that the classes tell where a crop came from."""
    palette = Palette("rgb", np.array([[10, 10, 10], [90, 0, 0], [0, 200, 0], [0, 0, 250]]))
    dark, colored = pictures((10, 10, 10), n=50), pictures((90, 0, 0), (0, 200, 0), (0, 0, 250))
    recipe = replace(CROPS, batch=100)
    batches = Crops([dark, colored], [3.0, 1.0], recipe, palette, 16)
    drawn = torch.cat([batches(step)[1].flatten() for step in range(20)])
    counts = torch.bincount(drawn, minlength=4).tolist()
    assert 1420 < counts[0] < 1580  # 3 of 4 of 2,000, deviation 19, however many pictures
    for count in counts[1:]:
        assert 120 < count < 215  # a third of the rest each, deviation 12


# Whole pictures


def test_unshuffled_batches_keep_the_datas_order() -> None:
    batches = whole(replace(WHOLE, shuffle=False))
    assert batches.per_epoch == 5
    for epoch in range(2):
        seen = [batches(5 * epoch + place) for place in range(5)]
        assert [len(inputs) for inputs, _ in seen] == [7, 7, 7, 7, 3]
        assert torch.cat([inputs[:, 0, 0, 0] for inputs, _ in seen]).tolist() == list(range(31))
        assert torch.cat([classes[:, 0, 0] for _, classes in seen]).tolist() == list(range(31))
    assert seen[0][1].dtype == torch.int64


def test_a_shuffled_epoch_sees_each_picture_once_in_a_new_order() -> None:
    batches = whole()
    orders = []
    for epoch in range(3):
        seen = [batches(5 * epoch + place) for place in range(5)]
        order = torch.cat([inputs[:, 0, 0, 0] for inputs, _ in seen]).tolist()
        assert sorted(order) == list(range(31))
        assert torch.cat([classes[:, 2, 1] for _, classes in seen]).tolist() == order
        orders.append(order)
    assert orders[0] != orders[1] != orders[2] != list(range(31))
    assert equal(whole()(7), batches(7))
    assert not equal(whole(replace(WHOLE, seed=1))(7), batches(7))


def test_whole_pictures_are_mirrored_with_their_classes() -> None:
    light, classes = torch.rand(31, 1, 4, 6), torch.arange(31 * 24).reshape(31, 4, 6)
    recipe = replace(WHOLE, shuffle=False, batch=31, flip=True)
    mirrored = []
    for step in range(4):
        inputs, its_classes = Whole(light, classes, recipe)(step)
        turned = (inputs[:, 0, 0, 0] != light[:, 0, 0, 0]).tolist()
        for n, mirror in enumerate(turned):
            assert torch.equal(inputs[n], light[n].flip(-1) if mirror else light[n])
            assert torch.equal(its_classes[n], classes[n].flip(-1) if mirror else classes[n])
        mirrored.append(turned)
    assert 30 < sum(map(sum, mirrored)) < 94  # half of 124, deviation 5.6
    assert mirrored[0] != mirrored[1]
    assert equal(Whole(light, classes, recipe)(2), Whole(light, classes, recipe)(2))


def test_moved_pictures_mirror_their_edge() -> None:
    picture = torch.arange(12).reshape(1, 3, 4)
    assert torch.equal(moved(picture, 0, 0), picture)
    assert moved(picture, 1, 0)[0, :, 0].tolist() == [4, 0, 4]
    assert moved(picture, 0, -2)[0, 1].tolist() == [6, 7, 6, 5]
    padded = torch.nn.functional.pad(picture[None].float(), (3, 3, 2, 2), mode="reflect")
    for down in range(-2, 3):
        for right in range(-3, 4):
            expected = padded[0, :, 2 - down : 5 - down, 3 - right : 7 - right]
            assert torch.equal(moved(picture, down, right).float(), expected)


def test_whole_pictures_are_moved_with_their_classes() -> None:
    light = torch.rand(7, 1, 9, 8)
    recipe = replace(WHOLE, shuffle=False, move=2)
    places = set()
    for step in range(12):
        inputs, classes = Whole(light, (light[:, 0] * 1000).round(), recipe)(step)
        assert torch.equal((inputs[:, 0] * 1000).round(), classes)
        [place] = {
            (y, x) for y in range(-2, 3) for x in range(-2, 3)
            if torch.equal(inputs, moved(light, y, x))
        }  # fmt: skip
        places.add(place)
    assert len(places) > 5


def test_stacked_pictures_are_one_array_and_must_be_of_one_size() -> None:
    horses = find("cifar10", "train").images
    assert horses is not None
    assert np.array_equal(stack(data.load(find("cifar10", "train"))), horses)
    with pytest.raises(DataError, match="`size`") as error:
        stack(sample())
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(("K", "kind"), [(256, torch.uint8), (257, torch.int16)])
def test_classes_are_kept_in_the_smallest_type_that_holds_them(K: int, kind: torch.dtype) -> None:
    palette = Palette("rgb", np.arange(K)[:, None] * np.array([0.5, 0.25, 0.1]))
    rgb: NDArray[np.uint8] = np.full((1, 4, 4, 3), 255, np.uint8)
    light, classes = as_tensors(rgb, palette, 1)
    assert classes.dtype == kind
    assert classes.flatten().tolist() == [K - 1] * 16
    assert light.dtype == torch.float32


# Ahead


@pytest.mark.parametrize(("first", "last"), [(0, 5), (3, 9), (4, 5), (5, 5), (0, 2)])
def test_batches_made_ahead_are_those_of_direct_calls(first: int, last: int) -> None:
    for batches in (crops(), whole()):
        made = list(ahead(batches, first, last))
        assert len(made) == last - first
        for step, batch in zip(range(first, last), made, strict=True):
            assert equal(batch, batches(step))


def test_an_error_in_a_batch_made_ahead_arrives() -> None:
    class Broken(Crops):
        def __call__(self, step: int) -> Batch:
            if step == 2:
                raise DataError("step 2 is broken")
            return super().__call__(step)

    broken = Broken([sample()], [1.0], CROPS, AB, 4)
    made: list[Batch] = []
    with pytest.raises(DataError, match="step 2"):
        made.extend(ahead(broken, 0, 5))
    unfinished = ahead(broken, 0, 5)  # leaving early ends the thread
    next(unfinished)
    unfinished.close()  # type: ignore[attr-defined]
