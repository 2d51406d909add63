"""Batches: which pictures a step sees, in which order, as inputs and classes.

A step's batch depends on the recipe and the step's number alone, so that a run can go on anywhere.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from limner.color import rgb8_to_lab
from limner.errors import DataError
from limner.learn.loading import augment
from limner.learn.loading.data import Pictures
from limner.paint.cells import cell_means
from limner.palette import Palette
from limner.recipe import Recipe

Batch = tuple[torch.Tensor, torch.Tensor]  # inputs [N, C, H, W] in 0..1, classes [N, h, w]
AHEAD = 2  # batches made in advance, on a thread of their own


def inputs_and_classes(
    rgb: NDArray[np.uint8], palette: Palette, stride: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """rgb [N, H, W, 3] -> inputs [N, 1, H, W] in 0..1 and the class of each cell [N, h, w].

    With an ab palette the input is L*/100, with an RGB palette the mean of the channels / 255. A
    cell's class is that of the mean color of its stride x stride pixels.
    """
    if palette.space == "ab":
        lab = rgb8_to_lab(rgb)
        light, color = lab[..., 0] / 100, lab[..., 1:]
    else:
        color = rgb.astype(np.float32)
        light = color.mean(axis=-1) / 255
    classes = palette.classes(np.stack([cell_means(picture, stride) for picture in color]))
    return np.ascontiguousarray(light[:, None], np.float32), classes


class Batches(Protocol):
    """What each step sees. ready: nothing has to be made in advance."""

    ready: bool

    def __call__(self, step: int) -> Batch: ...


class Crops:
    """Random crops of several sets, each drawn by its weight, each picture of a set evenly."""

    ready = False

    def __init__(
        self, sets: list[Pictures], weights: list[float], recipe: Recipe, palette: Palette,
        stride: int,
    ) -> None:  # fmt: skip
        self.sets, self.recipe, self.palette, self.stride = sets, recipe, palette, stride
        self.shares = np.array(weights) / sum(weights)

    def __call__(self, step: int) -> Batch:
        random = np.random.default_rng([self.recipe.seed, step])
        crops = []
        for chosen in random.choice(len(self.sets), self.recipe.batch, p=self.shares):
            pictures = self.sets[chosen]
            crops.append(
                augment.crop(pictures[int(random.integers(len(pictures)))], self.recipe, random)
            )
        light, classes = inputs_and_classes(np.stack(crops), self.palette, self.stride)
        light = augment.affine(augment.tone(light, self.recipe.tone, random), self.recipe)
        return torch.from_numpy(light), torch.from_numpy(classes)


class Whole:
    """Whole pictures of one size, epoch after epoch, in the order and mirrored as the recipe says.

    light [n, 1, H, W], classes [n, h, w].
    """

    ready = True  # slices of what lies in memory

    def __init__(self, light: torch.Tensor, classes: torch.Tensor, recipe: Recipe) -> None:
        self.light = light * recipe.scale + recipe.shift
        self.classes, self.recipe = classes, recipe
        self.per_epoch = -(-len(light) // recipe.batch)

    def __call__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.per_epoch)
        chosen = self.order(epoch)[place * self.recipe.batch : (place + 1) * self.recipe.batch]
        light, classes = self.light[chosen], self.classes[chosen].long()
        random = np.random.default_rng([self.recipe.seed, epoch, place])
        if self.recipe.flip:
            mirrored = torch.from_numpy(random.random(len(light)) < 0.5)
            light[mirrored] = light[mirrored].flip(-1)
            classes[mirrored] = classes[mirrored].flip(-1)
        if self.recipe.move:
            down, right = random.integers(-self.recipe.move, self.recipe.move + 1, 2)
            light, classes = moved(light, down, right), moved(classes, down, right)
        return light, classes

    def order(self, epoch: int) -> torch.Tensor:
        """The pictures of an epoch: the data set's order, or a new one."""
        if not self.recipe.shuffle:
            return torch.arange(len(self.light))
        random = np.random.default_rng([self.recipe.seed, epoch])
        return torch.from_numpy(random.permutation(len(self.light)))


def moved(pictures: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Pictures [..., H, W] moved by so many pixels; what comes in is their edge, mirrored."""
    H, W = pictures.shape[-2:]
    rows, columns = (np.pad(np.arange(n), n - 1, mode="reflect") for n in (H, W))
    rows = rows[H - 1 - down : 2 * H - 1 - down]
    columns = columns[W - 1 - right : 2 * W - 1 - right]
    return pictures[..., torch.from_numpy(rows)[:, None], torch.from_numpy(columns)]


def stack(pictures: Pictures) -> NDArray[np.uint8]:
    """Whole pictures as one array uint8 [n, H, W, 3]. Raises DataError if their sizes differ."""
    if (pictures.sides != pictures.sides[0]).any():
        raise DataError(
            f"pictures of different sizes (from {pictures.sides.min(axis=0).tolist()} to "
            f"{pictures.sides.max(axis=0).tolist()}); set `size` in the recipe to train on crops"
        )
    return np.stack([pictures[index] for index in range(len(pictures))])


def as_tensors(rgb: NDArray[np.uint8], palette: Palette, stride: int) -> Batch:
    """All of `rgb` as inputs and classes; the classes in the smallest type that holds them."""
    light, classes = inputs_and_classes(rgb, palette, stride)
    small = torch.uint8 if len(palette) <= 256 else torch.int16
    return torch.from_numpy(light), torch.from_numpy(classes).to(small)


def ahead(batches: Batches, first: int, last: int) -> Iterator[Batch]:
    """The batches of the steps first..last-1, made AHEAD of their use on another thread."""
    if batches.ready:
        yield from map(batches, range(first, last))
        return
    with ThreadPoolExecutor(1) as thread:
        waiting = [thread.submit(batches, step) for step in range(first, min(first + AHEAD, last))]
        for step in range(first, last):
            batch = waiting.pop(0).result()
            if step + AHEAD < last:
                waiting.append(thread.submit(batches, step + AHEAD))
            yield batch
