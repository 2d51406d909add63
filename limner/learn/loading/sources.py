"""What a recipe learns from: its sets, their validation pictures, and the palette."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limner.color import rgb8_to_lab
from limner.dataset import WHOLE, Dataset, find
from limner.errors import DataError, SplitError
from limner.learn.loading import augment, data
from limner.learn.loading.batches import (
    Batch,
    Batches,
    Crops,
    Whole,
    as_tensors,
    inputs_and_classes,
    stack,
)
from limner.learn.loading.data import Pictures
from limner.learn.loading.repeated import repeated
from limner.learn.loading.views import ColorViews, MaskViews, middles, pairs
from limner.masks.check import frequencies
from limner.masks.labels import foreground
from limner.masks.sets import Labelled, find_labelled
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
    described: dict[str, Any]  # name -> pictures, fingerprint, terms: kept with the run
    per_epoch: int  # steps that see as many pictures as there are

    def batches(self, recipe: Recipe, stride: int) -> Batches:
        """What each step sees, for a network of that stride: random crops, views of each picture
        in turn, or whole pictures of one size."""
        if recipe.views:
            return ColorViews(self.sets, recipe, self.palette, stride)
        if recipe.size:
            weights = [weight for _, weight in recipe.sets()]
            return Crops(self.sets, weights, recipe, self.palette, stride)
        rgb = np.concatenate([stack(pictures) for pictures in self.sets])
        return Whole(*as_tensors(rgb, self.palette, stride), recipe)

    def validation(self, recipe: Recipe, stride: int) -> Iterator[Batch]:
        """Every validation picture once: its middle square at the crops' size, or whole."""
        for pictures in self.held:
            for first in range(0, len(pictures), VALIDATION_BATCH):
                last = min(first + VALIDATION_BATCH, len(pictures))
                if recipe.size:
                    squares = [augment.middle(pictures[i], recipe.size) for i in range(first, last)]
                    rgb = np.stack(squares)
                else:
                    rgb = stack(pictures)[first:last]
                light, classes = inputs_and_classes(rgb, self.palette, stride)
                yield torch.from_numpy(augment.affine(light, recipe)), torch.from_numpy(classes)

    def class_weights(self, recipe: Recipe) -> NDArray[np.float32] | None:
        """Of the loss, [K]; None: every class weighs the same."""
        return None


@dataclass(frozen=True)
class MaskSources(Sources):
    """The same where masks say the classes; the palette has names."""

    masks: list[Pictures]
    held_masks: list[Pictures]

    def batches(self, recipe: Recipe, stride: int) -> Batches:
        return MaskViews(self.sets, self.masks, recipe, stride)

    def validation(self, recipe: Recipe, stride: int) -> Iterator[Batch]:
        return middles(self.held, self.held_masks, recipe, stride)

    def class_weights(self, recipe: Recipe) -> NDArray[np.float32] | None:
        """1 over each class's share of the pixels, or its root; a pixel's mean weight is 1. Raises
        DataError where no mask says a class."""
        if recipe.class_weights == "none":
            return None
        counts = frequencies((mask for _, mask in pairs(self.sets, self.masks)), len(self.palette))
        if not counts.any():
            raise DataError("the masks to learn from ignore all pixels; say classes")
        # A class that no pixel has is weighed as the rarest; it is never asked for.
        shares = np.maximum(counts, counts[counts > 0].min()) / counts.sum()
        weights = shares ** (-1.0 if recipe.class_weights == "inverse" else -0.5)
        weights *= counts.sum() / (counts * weights).sum()
        return np.asarray(weights, np.float32)


def gather(recipe: Recipe, palette: Palette | None, progress: Progress | None = None) -> Sources:
    """Find, decode and cut the recipe's sets; `palette` is given, or the recipe names it (to
    segment: the sets do).

    With `holdout`, so many pictures (shared among the sets by weight, at most a fifth of each) are
    cut from the training split for validation; without, the `val` splits validate. Raises
    DataError, PaletteError.
    """
    if recipe.task == "segment":
        return gather_masks(recipe, palette, progress)
    sets: list[Pictures] = []
    held: list[Pictures] = []
    described: dict[str, Any] = {}
    shares = sum(weight for _, weight in recipe.sets())
    for spec, weight in recipe.sets():
        found = find(spec, recipe.split)
        pictures = data.load(found, progress and partial(progress, spec))
        learned, apart = cut(len(pictures), found, recipe, spec, weight / shares)
        sets.append(pictures.take(learned))
        described[spec] = describe(found, found.fingerprint(), learned, apart)
        if recipe.holdout:
            held.append(pictures.take(apart))
        else:
            other = find(spec, "val")
            held.append(data.load(other, progress and partial(progress, spec)))
            described[spec]["validation"] = other.fingerprint()
    if palette is None:
        palette = _palette(recipe, sets)
    if recipe.views:
        sets = in_turn(sets, recipe)
        check_filled(sum(map(len, sets)), recipe)
    n = sum(map(len, sets))
    per_epoch = n // recipe.batch if recipe.views else -(-n // recipe.batch)
    return Sources(sets, held, palette, described, per_epoch)


def gather_masks(
    recipe: Recipe, labels: Palette | None, progress: Progress | None = None
) -> MaskSources:
    """`gather` for pictures with masks. Every set must have the same classes, whose colors are the
    first set's; from sets whose masks are a model's guesses nothing is held out, and their `val`
    split is not asked for; a picture of theirs that is held out elsewhere, or is in a `val` split,
    is left out."""
    sets: list[Pictures] = []
    held: list[Pictures] = []
    masks: list[Pictures] = []
    held_masks: list[Pictures] = []
    described: dict[str, Any] = {}
    chosen = [(spec, find_labelled(spec, recipe.split)) for spec, _ in recipe.sets()]
    weights = [weight for _, weight in recipe.sets()]
    by_hand = sum(
        weight for weight, (_, found) in zip(weights, chosen, strict=True) if not found.guesses
    )
    if not by_hand:
        guessed = ", ".join(spec for spec, _ in chosen)
        raise DataError(
            f"{guessed}: masks that a model made, and nothing to validate on; name a set with "
            "masks made by hand, too"
        )
    for weight, (spec, found) in zip(weights, chosen, strict=True):
        loaded = load_pairs(found, recipe, progress and partial(progress, spec))
        names = foreground(found.labels, recipe.foreground)[0]
        if labels is not None and names.names != labels.names:
            raise DataError(
                f"{spec}: its classes are {', '.join(names.names)}, and not "
                f"{', '.join(labels.names)}; give sets of the same classes"
            )
        labels = labels or names
        share = 0 if found.guesses else weight / by_hand
        learned, apart = cut(len(found), found.pictures, recipe, spec, share)
        described[spec] = describe(found.pictures, found.fingerprint(), learned, apart)
        for kept, part in zip((sets, masks), loaded, strict=True):
            kept.append(part.take(learned))
        if found.guesses:
            continue
        if recipe.holdout:
            validating = loaded[0].take(apart), loaded[1].take(apart)
        else:
            other = find_labelled(spec, "val")
            validating = load_pairs(other, recipe, progress and partial(progress, spec))
            described[spec]["validation"] = other.fingerprint()
        for kept, part in zip((held, held_masks), validating, strict=True):
            kept.append(part)
    for place, (spec, found) in enumerate(chosen):
        if found.guesses:
            told_of = repeated(sets[place], [*held, *reported(chosen, recipe)])
            fresh = np.flatnonzero(~told_of)
            sets[place], masks[place] = sets[place].take(fresh), masks[place].take(fresh)
            described[spec] |= {"pictures": len(fresh), "repeated": int(told_of.sum())}
    sets, masks = in_turn(sets, recipe), in_turn(masks, recipe)
    n = sum(map(len, sets))
    check_filled(n, recipe)
    assert labels is not None  # a recipe names at least one set
    return MaskSources(sets, held, labels, described, n // recipe.batch, masks, held_masks)


def in_turn(sets: Sequence[Pictures], recipe: Recipe) -> list[Pictures]:
    """The sets, each of their pictures as often as an epoch shows it."""
    times = [int(weight) for _, weight in recipe.sets()]
    return [
        pictures.take(np.tile(np.arange(len(pictures)), n))
        for pictures, n in zip(sets, times, strict=True)
    ]


def reported(chosen: Sequence[tuple[str, Labelled]], recipe: Recipe) -> Iterator[Pictures]:
    """The `val` pictures of the sets whose masks were made by hand, where others validate: scores
    are told of them later."""
    for spec, found in chosen:
        if recipe.holdout and not found.guesses:
            try:
                yield data.load(find_labelled(spec, "val").pictures)
            except SplitError:  # a set without that split: nothing will be told of it
                continue


def check_filled(count: int, recipe: Recipe) -> None:
    """Raise DataError where so few pictures fill no batch of views."""
    if count < recipe.batch:
        raise DataError(
            f"{count} pictures to learn from, and a batch of {recipe.batch}, which is never "
            f"filled; set batch = {max(1, count)}"
        )


def load_pairs(
    found: Labelled, recipe: Recipe, progress: Callable[[int, int], None] | None
) -> tuple[Pictures, Pictures]:
    """The pictures and the masks of a set, with the recipe's foreground."""
    pictures = data.load(found.pictures, progress)
    masks = data.load_masks(found, pictures)
    if recipe.foreground:
        table = foreground(found.labels, recipe.foreground)[1]
        masks = replace(masks, pixels=table[masks.pixels])
    return pictures, masks


def cut(
    count: int, found: Dataset, recipe: Recipe, spec: str, share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of a set's `count` pictures are learned from, and which are held out: `share` of the
    holdout, or with 0 none. Raises DataError."""
    if recipe.pictures > count:
        raise DataError(
            f"{spec}: {count:,} pictures, and the recipe asks for pictures = "
            f"{recipe.pictures:,}; ask for less, or 0 for all"
        )
    count = recipe.pictures or count
    if not share:
        return np.arange(count), np.arange(0)
    if recipe.holdout:
        if count < 2:
            raise DataError(f"{spec}: one picture cannot be split by holdout; give more")
        most = max(1, count // 5)
        held = min(max(1, round(recipe.holdout * share)), most)
        order = np.random.default_rng(CUT_SEED).permutation(count)
        return np.sort(order[held:]), np.sort(order[:held])
    if found.split == WHOLE:
        raise DataError(
            f"{spec}: a folder without a val split; keep some of its pictures for validation "
            "with --set holdout=..."
        )
    return np.arange(count), np.arange(0)


def describe(
    found: Dataset, fingerprint: str, learned: NDArray[np.int64], held: NDArray[np.int64]
) -> dict[str, Any]:
    """What a run keeps of a set."""
    return {
        "split": found.split,
        "pictures": len(learned),
        "held_out": len(held),
        "fingerprint": fingerprint,
        "terms": found.terms,
    }


def _palette(recipe: Recipe, sets: list[Pictures]) -> Palette:
    if recipe.palette == "grid":
        shares = np.array([weight for _, weight in recipe.sets()])
        counts = np.rint(GRID_SAMPLE * shares / shares.sum()).astype(int)
        pixels = [data.sample(s, int(n), recipe.seed) for s, n in zip(sets, counts, strict=True)]
        return Palette.grid(rgb8_to_lab(np.concatenate(pixels))[:, 1:])
    if recipe.palette.endswith(".json"):
        return Palette.load(recipe.palette)
    return embedded_palette(recipe.palette)
