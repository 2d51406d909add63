"""The scores of a model that segments, of the masks that `limner segment` writes, at full size."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner import scores
from limner.card import Card, Model
from limner.dataset import locate
from limner.errors import DataError, SplitError
from limner.masks.check import check_sides, frequencies
from limner.masks.labels import foreground
from limner.masks.png import Mask, read_mask
from limner.masks.scores import COVERED, RESAMPLES, SEED, Tables, holding, score
from limner.masks.sets import Labelled, find_labelled, find_pairs
from limner.palette import Palette
from limner.segment.segmenter import Segmenter


def evaluate_masks(
    model: Model,
    data: str,
    split: str,
    on_picture: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Score a model that segments on the pictures of a set (NAME|PATH) that have masks.

    One confusion matrix a picture; their sum gives the scores, and sums over pictures drawn with
    replacement the intervals. Returns beside the common keys "pictures" (class -> how many hold it)
    and "absent" (classes without a true pixel, left out of mean_iou). rows: `ours` and, where the
    set has a train split with all its masks, `majority` (its commonest class everywhere), each
    {"pixel_accuracy", "mean_iou", "mean_iou_covered", "iou": {class: ...}} of {"value", "low",
    "high"}; mean_iou_covered, over classes in at least COVERED pictures, is None where no class is.
    """
    card = model.card
    wanted = tuple(card.recipe.get("foreground", ()))
    chosen = find_labelled(data, split)
    if chosen.guesses:
        raise DataError(
            f"{data}: masks that a model made, which show how like it another is; score on masks "
            "made by hand"
        )
    table = check_labels(chosen.labels, wanted, card, data)
    train = _train_split(data)
    total = len(chosen) + (0 if train is None else len(train))
    done = count(1)

    def tell() -> None:
        if on_picture:
            on_picture(next(done), total)

    rows = _tables(Segmenter(model), chosen, train, table, tell)
    holds = holding(np.stack(rows["ours"]))
    if not holds.any():
        raise DataError(
            f"{data}: the masks of split {split} ignore all pixels; say a class somewhere"
        )
    names = card.palette.names
    return {
        "model": card.name,
        "task": card.task,
        "data": data,
        "split": chosen.pictures.split,
        "n": len(chosen),
        "protocol": _protocol(model, chosen, train),
        "pictures": dict(zip(names, holds.tolist(), strict=True)),
        "absent": [name for name, n in zip(names, holds, strict=True) if n == 0],
        "rows": {row: score(np.stack(tables), card.palette) for row, tables in rows.items()},
    }


def _tables(
    segmenter: Segmenter,
    chosen: Labelled,
    train: Labelled | None,
    table: NDArray[np.uint8],
    tell: Callable[[], None],
) -> dict[str, list[Tables]]:
    """A confusion matrix [K, K] a picture, of each row."""
    K = len(segmenter.model.card.palette)
    rows: dict[str, list[Tables]] = {"ours": []}
    commonest = None
    if train is not None:
        rows["majority"] = []
        commonest = int(frequencies(_masks(train, table, tell), K).argmax())
    for picture, path in zip(chosen.pictures.files, chosen.masks, strict=True):
        truth = table[read_mask(path, chosen.labels)]
        found = segmenter.segment(picture)
        check_sides(path, truth, found.height, found.width)
        rows["ours"].append(scores.confusion(truth, found.mask, K))
        if commonest is not None:
            everywhere = np.full_like(truth, commonest)
            rows["majority"].append(scores.confusion(truth, everywhere, K))
        tell()
    return rows


def check_labels(
    labels: Palette, wanted: tuple[str, ...], card: Card, data: str
) -> NDArray[np.uint8]:
    """The table that brings a set's numbers to the model's (its foreground). Raises DataError for a
    set of other classes."""
    known = all(name in labels.names for name in wanted)
    seen, table = foreground(labels, wanted) if known else (labels, np.arange(256, dtype=np.uint8))
    if seen.names != card.palette.names:
        raise DataError(
            f"{data}: its classes are {', '.join(labels.names)}, and {card.name} says "
            f"{', '.join(card.palette.names)}; take a set or a model of the same classes"
        )
    return table


def _masks(
    labelled: Labelled, table: NDArray[np.uint8], tell: Callable[[], None]
) -> Iterator[Mask]:
    for path in labelled.masks:
        yield table[read_mask(path, labelled.labels)]
        tell()


def _train_split(data: str) -> Labelled | None:
    """The train split, None for a set without it or without all of its masks."""
    try:
        pairs = find_pairs(locate(data), "train")
    except SplitError:
        return None
    there = pairs.split == "train" and all(mask.is_file() for mask in pairs.masks)
    return find_labelled(data, "train") if there else None


def _protocol(model: Model, chosen: Labelled, train: Labelled | None) -> dict[str, Any]:
    card = model.card
    protocol = {
        "model_sha256": model.sha256,
        "data_hash": chosen.fingerprint(),
        "working_size": card.working_size,
        "stride": card.stride,
        "classes": len(card.palette),
        "seed": SEED,
        "resamples": RESAMPLES,
        "pictures": "at their own size, reduced to the working size, never enlarged",
        "mask": "as limner segment writes it, at the picture's size; 255 in the truth is left out",
        "values": "from the sum of the pictures' confusion matrices; 95 % percentile bootstrap "
        "over pictures",
        "mean_iou": "over the classes that have a true pixel in the split",
        "mean_iou_covered": f"over the classes in at least {COVERED} pictures of the split",
    }
    if train is None:
        protocol["majority"] = "left out: the set has no train split with all its masks"
    else:
        protocol["majority"] = "the commonest class of the train split's pixels"
        protocol["counted_hash"] = train.fingerprint()
    return protocol
