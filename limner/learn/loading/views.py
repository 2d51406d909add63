"""Views: pictures, with or without masks, cropped and mirrored, batch after batch.

View v of picture i depends on the recipe's seed, i and v alone, so that what a frozen network says
of it can be kept (`features.py`). Epoch e shows view e, or with `views` = K view e mod K.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from limner.learn.loading import augment
from limner.learn.loading.batches import Batch, inputs_and_classes
from limner.learn.loading.data import Pictures
from limner.masks.labels import IGNORED
from limner.palette import Palette
from limner.recipe import Recipe

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # [H, W, 3] and [H, W]
LEVELS = np.arange(256, dtype=np.float32) / np.float32(255)
UNSAID = -100  # torch's own number for a class that is not said; 255 may be a class elsewhere


class Views:
    """Batches of one view of each picture an epoch, in a new order; the last few pictures of an
    epoch, too few for a batch, are left out. A subclass says what a view is."""

    ready = False

    def __init__(self, count: int, recipe: Recipe) -> None:
        self.count, self.recipe = count, recipe
        self.per_epoch = count // recipe.batch

    def __len__(self) -> int:
        """How many pictures there are."""
        return self.count

    def __call__(self, step: int) -> Batch:
        return self.batch(*self.shown(step))

    def shown(self, step: int) -> tuple[NDArray[np.int64], int]:
        """Which pictures a step sees, [batch], and which view of each."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.arange(self.count)
        if self.recipe.shuffle:
            order = np.random.default_rng([self.recipe.seed, epoch]).permutation(order)
        view = epoch % self.recipe.views if self.recipe.views else epoch
        return order[place * self.recipe.batch : (place + 1) * self.recipe.batch], view

    def random(self, index: int, view: int) -> np.random.Generator:
        """What a view's crop, mirroring and tone are drawn from."""
        return np.random.default_rng([self.recipe.seed, index, view])

    def batch(self, chosen: NDArray[np.int64], view: int) -> Batch:
        """That view of the chosen pictures."""
        raise NotImplementedError


class ColorViews(Views):
    """Views of photographs: light [batch, 1, size, size] and the classes of its cells' colors."""

    def __init__(self, sets: list[Pictures], recipe: Recipe, palette: Palette, stride: int) -> None:
        self.pictures = [pictures[index] for pictures in sets for index in range(len(pictures))]
        super().__init__(len(self.pictures), recipe)
        self.palette, self.stride = palette, stride

    def batch(self, chosen: NDArray[np.int64], view: int) -> Batch:
        randoms = [self.random(int(index), view) for index in chosen]
        pictures = [self.pictures[index] for index in chosen]
        pairs = zip(pictures, randoms, strict=True)
        crops = np.stack([augment.crop(picture, self.recipe, random) for picture, random in pairs])
        light, classes = inputs_and_classes(crops, self.palette, self.stride)
        toned = [
            augment.tone(one[None], self.recipe.tone, random)
            for one, random in zip(light, randoms, strict=True)
        ]
        seen = augment.affine(np.concatenate(toned), self.recipe)
        return torch.from_numpy(seen), torch.from_numpy(classes)


class MaskViews(Views):
    """Views of photographs and their masks.

    sets and masks: pictures of one or more sets and their masks, in the same order. Inputs are
    float32 [batch, 3, size, size] in 0..1, classes int64 [batch, size, size], UNSAID where the mask
    says nothing; where the loss stands at the stride, their sides are size / stride.
    """

    def __init__(
        self, sets: list[Pictures], masks: list[Pictures], recipe: Recipe, stride: int
    ) -> None:
        self.pairs = list(pairs(sets, masks))
        super().__init__(len(self.pairs), recipe)
        self.stride = stride

    def batch(self, chosen: NDArray[np.int64], view: int) -> Batch:
        views = [self.view(int(index), view) for index in chosen]
        inputs, masks = (np.stack(parts) for parts in zip(*views, strict=True))
        return torch.from_numpy(inputs), said(masks, self.recipe, self.stride)

    def view(self, index: int, view: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """One view: float32 [3, size, size] and uint8 [size, size]."""
        random = self.random(index, view)
        picture, mask = self.pairs[index]
        box, mirrored = augment.place(picture, self.recipe, random)
        crop = augment.resize(picture, box, self.recipe.size)
        # The curve of 256 levels, looked up: as drawing it anew for each pixel, but faster.
        curve = augment.tone(LEVELS.reshape(1, 1, 1, 256), self.recipe.tone, random).reshape(256)
        inputs = as_input(crop, curve)
        classes = augment.resize_mask(mask, box, self.recipe.size)
        if mirrored:
            inputs, classes = inputs[..., ::-1], classes[:, ::-1]
        return inputs, classes


def pairs(sets: list[Pictures], masks: list[Pictures]) -> Iterator[Pair]:
    """All pictures of all sets, each with its mask."""
    for pictures, its_masks in zip(sets, masks, strict=True):
        for index in range(len(pictures)):
            yield pictures[index], its_masks[index][..., 0]


def middles(
    sets: list[Pictures], masks: list[Pictures], recipe: Recipe, stride: int
) -> Iterator[Batch]:
    """The middle square of every picture once, in batches of the recipe's size: for validation."""
    waiting = pairs(sets, masks)
    while chosen := list(islice(waiting, recipe.batch)):
        inputs = [as_input(augment.middle(picture, recipe.size)) for picture, _ in chosen]
        cut = [
            augment.resize_mask(mask, augment.middle_box(mask), recipe.size) for _, mask in chosen
        ]
        yield torch.from_numpy(np.stack(inputs)), said(np.stack(cut), recipe, stride)


def as_input(rgb: NDArray[np.uint8], curve: NDArray[np.float32] = LEVELS) -> NDArray[np.float32]:
    """uint8 [H, W, 3] -> float32 [3, H, W] in 0..1; curve: what becomes of the 256 levels."""
    return np.ascontiguousarray(np.moveaxis(curve[rgb], -1, 0))


def said(masks: NDArray[np.uint8], recipe: Recipe, stride: int) -> torch.Tensor:
    """Masks [N, H, W] as classes, at the stride (the nearest pixel's) or at full size."""
    if recipe.loss_at == "stride":
        masks = masks[:, stride // 2 :: stride, stride // 2 :: stride]
    classes = masks.astype(np.int64)
    classes[masks == IGNORED] = UNSAID
    return torch.from_numpy(classes)
