"""What a recipe learns from: its sets, their validation pictures, and the palette."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from limner import networks
from limner.color import rgb8_to_lab
from limner.dataset import WHOLE, find
from limner.errors import DataError
from limner.learn import augment, data
from limner.learn.batches import Batch, Crops, Whole, as_tensors, inputs_and_classes, stack
from limner.learn.data import Pictures
from limner.palette import Palette
from limner.recipe import Recipe
from limner.weights import palette as embedded_palette

Progress = Callable[[str, int, int], None]  # set, pictures decoded, pictures in all

GRID_SAMPLE = 1_000_000  # pixels that decide which cells of the ab grid are classes
VALIDATION_BATCH = 100
CUT_SEED = 12  # the cut between learning and validation is the same for every seed of a recipe


@dataclass(frozen=True)
class Sources:
    """The training pictures of each set, the validation pictures, and the palette."""

    sets: list[Pictures]
    held: list[Pictures]
    palette: Palette
    stride: int
    described: dict[str, Any]  # name -> pictures, fingerprint, terms: kept with the run
    per_epoch: int  # steps that see as many pictures as there are

    def batches(self, recipe: Recipe) -> Crops | Whole:
        """The recipe's batches: random crops, or whole pictures of one size."""
        if recipe.size:
            weights = [weight for _, weight in recipe.sets()]
            return Crops(self.sets, weights, recipe, self.palette, self.stride)
        rgb = np.concatenate([stack(pictures) for pictures in self.sets])
        return Whole(*as_tensors(rgb, self.palette, self.stride), recipe)

    def validation(self, recipe: Recipe) -> Iterator[Batch]:
        """Every validation picture once: its middle square at the crops' size, or whole."""
        for pictures in self.held:
            for first in range(0, len(pictures), VALIDATION_BATCH):
                last = min(first + VALIDATION_BATCH, len(pictures))
                if recipe.size:
                    squares = [augment.middle(pictures[i], recipe.size) for i in range(first, last)]
                    rgb = np.stack(squares)
                else:
                    rgb = stack(pictures)[first:last]
                light, classes = inputs_and_classes(rgb, self.palette, self.stride)
                yield torch.from_numpy(augment.affine(light, recipe)), torch.from_numpy(classes)


def gather(recipe: Recipe, palette: Palette | None, progress: Progress | None = None) -> Sources:
    """Find, decode and cut the recipe's sets; `palette` is given, or the recipe names it.

    With `holdout`, so many pictures (shared among the sets by weight, at most a fifth of each) are
    cut from the training split for validation; without, the `val` splits validate.
    """
    shares = sum(weight for _, weight in recipe.sets())
    sets, held, described = [], [], {}
    for spec, weight in recipe.sets():
        found = find(spec, recipe.split)
        pictures = limited(data.load(found, progress and partial(progress, spec)), recipe, spec)
        cut = 0
        if recipe.holdout:
            if len(pictures) < 2:
                raise DataError(f"{spec}: one picture cannot be split by holdout; give more")
            most = max(1, len(pictures) // 5)
            cut = min(max(1, round(recipe.holdout * weight / shares)), most)
            order = np.random.default_rng(CUT_SEED).permutation(len(pictures))
            sets.append(pictures.take(np.sort(order[cut:])))
            held.append(pictures.take(np.sort(order[:cut])))
        elif found.split == WHOLE:
            raise DataError(
                f"{spec}: a folder without a val split; keep some of its pictures for validation "
                "with --set holdout=..."
            )
        else:
            sets.append(pictures)
            held.append(data.load(find(spec, "val"), progress and partial(progress, spec)))
        described[spec] = {
            "split": found.split,
            "pictures": len(pictures) - cut,
            "held_out": cut,
            "fingerprint": found.fingerprint(),
            "terms": found.terms,
        }
    if palette is None:
        palette = _palette(recipe, sets)
    per_epoch = -(-sum(map(len, sets)) // recipe.batch)
    stride: int = networks.NETWORKS[recipe.network].stride
    return Sources(sets, held, palette, stride, described, per_epoch)


def limited(pictures: Pictures, recipe: Recipe, spec: str) -> Pictures:
    """The set's first pictures, as many as the recipe asks for. Raises DataError if it has less."""
    if recipe.pictures > len(pictures):
        raise DataError(
            f"{spec}: {len(pictures):,} pictures, and the recipe asks for pictures = "
            f"{recipe.pictures:,}; ask for less, or 0 for all"
        )
    return pictures.take(np.arange(recipe.pictures)) if recipe.pictures else pictures


def _palette(recipe: Recipe, sets: list[Pictures]) -> Palette:
    if recipe.palette == "grid":
        shares = np.array([weight for _, weight in recipe.sets()])
        counts = np.rint(GRID_SAMPLE * shares / shares.sum()).astype(int)
        pixels = [data.sample(s, int(n), recipe.seed) for s, n in zip(sets, counts, strict=True)]
        return Palette.grid(rgb8_to_lab(np.concatenate(pixels))[:, 1:])
    if recipe.palette.endswith(".json"):
        return Palette.load(recipe.palette)
    return embedded_palette(recipe.palette)
