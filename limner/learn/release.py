"""From a finished run to a model file: the averaged weights, the fitted decoding, and the card."""

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limner import networks
from limner.card import Card, Model
from limner.color import rgb8_to_lab
from limner.errors import ModelError, TrainingError
from limner.files import write_atomically
from limner.learn.export import export, with_card
from limner.learn.loading.batches import inputs_and_classes
from limner.learn.loading.sources import gather, gather_masks
from limner.learn.loading.views import pairs
from limner.learn.run import build, described, input_kind, saved
from limner.masks.labels import voc_labels
from limner.masks.scores import score
from limner.networks.deeplab import published
from limner.paint.cells import cell_means
from limner.paint.decode import decode
from limner.palette import Palette
from limner.recipe import Recipe
from limner.scores import ab_error, bootstrap_interval, confusion
from limner.segment.segmenter import Segmenter

CIFAR_SIDE = 32
PUBLISHED_SIDE = 520  # the short side that torchvision's weights were trained and scored at
TEMPERATURES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
CHROMAS = (1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3)


def release(
    run: Path, output: Path, *, name: str | None = None, working_size: int | None = None,
    overwrite: bool = False,
) -> Card:  # fmt: skip
    """Write the run's model file and return its card.

    working_size: the short side, in pixels, of what the model will see of a picture; None: as
    training saw them.

    Where the recipe cuts pictures from training (`holdout`), a colorizer's decoding is fitted on
    them, and the scores there stand in the card; else the run alone is read, not its data. Raises
    TrainingError for a run without a whole checkpoint, ModelError for a size that the network
    cannot take, and if the file would differ from the network or exists unasked.
    """
    check_output(output, overwrite)
    document, step, network = trained(run)
    recipe = Recipe.from_dict(document["recipe"], str(run / "run.json"))
    palette = Palette.from_json(document["palette"], str(run / "run.json"))
    if (recipe.scale, recipe.shift) != (1, 0):
        raise TrainingError(
            f"{run}: its network saw {recipe.scale:g} * light + {recipe.shift:g}, and a model file "
            "is given light; train it without scale and shift"
        )
    check_size(working_size, network.multiple)
    temperature, chroma = 1.0, 1.0
    scores: dict[str, Any] = {}
    if recipe.task == "colorize":
        temperature, chroma, scores = fit_decoding(network, recipe, palette)
    card = Card(
        name=name or recipe.name,
        task=recipe.task,
        network={"name": recipe.network, "arguments": network.arguments},
        input=input_kind(recipe, palette),
        working_size=working_size or usual_size(recipe, network.multiple),
        stride=network.stride,
        multiple=network.multiple,
        palette=palette,
        class_weights=class_weights(document, recipe, palette),
        temperature=temperature,
        chroma=chroma,
        recipe={
            **recipe.to_dict(),
            "steps_done": step,
            "precision": document["precision"],
            "from": document["from"],
        },
        data=document["data"],
        scores=scores,
        license=license_of(document),
    )
    if recipe.task == "colorize" or not recipe.holdout:
        export(network, card, output, overwrite=overwrite)
        return card
    with tempfile.TemporaryDirectory() as place:
        draft = Path(place) / output.name
        export(network, card, draft)
        card = replace(card, scores=segment_held(Model(draft, "cpu"), recipe, palette))
        write_atomically(output, with_card(draft, card))
    return card


def class_weights(
    document: Mapping[str, Any], recipe: Recipe, palette: Palette
) -> tuple[float, ...] | None:
    """What a run's loss weighed each class by, None for all alike; counted again for the runs of
    an older limner, which did not keep them."""
    weights = document.get("class_weights")
    if weights is None and recipe.class_weights != "none":
        counted = gather(recipe, palette).class_weights(recipe)
        weights = None if counted is None else counted.tolist()
    return None if weights is None else tuple(weights)


def license_of(document: Mapping[str, Any]) -> str:
    """The terms of a run's weights: its pictures', and those of the model that it began from."""
    terms = dict.fromkeys(told["terms"] for told in document["data"].values())
    license = (
        f"the weights carry the terms of the pictures they were trained on: {'; '.join(terms)}"
    )
    if origin := document["from"]:
        license += f"; and those of {origin['name']}, from which they started: {origin['license']}"
    return license


def segment_held(model: Model, recipe: Recipe, labels: Palette) -> dict[str, Any]:
    """The scores of the masks that the model makes of the held-out pictures, at full size."""
    sources = gather_masks(recipe, labels)
    segmenter = Segmenter(model)
    K = len(labels)
    tables = np.stack(
        [
            confusion(mask, segmenter.segment(picture).mask, K)
            for picture, mask in pairs(sources.held, sources.held_masks)
        ]
    )
    found = score(tables, labels)
    return {
        "holdout": {
            "n": len(tables),
            **{name: {"ours": found[name]} for name in ("pixel_accuracy", "mean_iou")},
        }
    }


def publish(
    encoder: str, output: Path, *, name: str | None = None, working_size: int | None = None,
    overwrite: bool = False,
) -> Card:  # fmt: skip
    """Write torchvision's published DeepLabV3 as a model file, its last layer as it is, and return
    its card: what a new last layer is to be held against.

    encoder: as a recipe names torchvision's. working_size: None for the one that it was published
    with. Raises RecipeError for another encoder, ModelError where the weights cannot be had, for a
    size that the network cannot take, or if the file exists unasked.
    """
    check_output(output, overwrite)
    network = published(encoder)
    check_size(working_size, network.multiple)
    card = Card(
        name=name or f"torchvision-{encoder}",
        task="segment",
        network={"name": "deeplabv3", "arguments": network.arguments},
        input="rgb",
        working_size=working_size or PUBLISHED_SIDE,
        stride=network.stride,
        multiple=network.multiple,
        palette=voc_labels(),
        license="torchvision's weights (BSD 3-Clause License), trained on pictures of COCO, whose "
        "terms are their owners'",
    )
    export(network, card, output, overwrite=overwrite)
    return card


def check_output(output: Path, overwrite: bool) -> None:
    """Raise ModelError if a model file cannot be written there."""
    if os.path.lexists(output) and not overwrite:
        raise ModelError(f"{output}: exists already; choose another name or add --overwrite")
    if not os.path.isdir(output.parent):
        raise ModelError(f"{output}: its folder does not exist; make it first")


def trained(run: Path) -> tuple[dict[str, Any], int, networks.Network]:
    """The run's run.json, its steps done, and its network (averaged weights, in eval).

    Raises TrainingError for a run without a whole checkpoint.
    """
    document = described(run)
    step, groups, _ = saved(run)
    recipe = Recipe.from_dict(document["recipe"], str(run / "run.json"))
    palette = Palette.from_json(document["palette"], str(run / "run.json"))
    network = build(recipe, palette, pretrained=False)
    try:
        network.load_state_dict({**groups["network"], **groups["ema"]})
    except RuntimeError as error:
        raise TrainingError(f"{run}: the checkpoint does not fit the recipe's network") from error
    return document, step, network.eval()


def check_size(working_size: int | None, multiple: int) -> None:
    """Raise ModelError for a working size that the network's `multiple` does not divide."""
    if working_size is not None and (working_size < 1 or working_size % multiple):
        nearest = max(1, round(working_size / multiple)) * multiple
        raise ModelError(
            f"--working-size {working_size}: not a multiple of {multiple}, which the network "
            f"needs; take {nearest}"
        )


def usual_size(recipe: Recipe, multiple: int) -> int:
    """The short side, in pixels, at which pictures look most as they did in training.

    A crop of `size` pixels covers zoom..1 of a picture's short side, so that short sides of
    size..size / zoom were seen: their geometric middle, rounded to the network's multiple. Recipes
    without crops learn from CIFAR's whole pictures.
    """
    if not recipe.size:
        return CIFAR_SIDE
    return max(1, round(recipe.size / math.sqrt(recipe.zoom) / multiple)) * multiple


@torch.no_grad()
def fit_decoding(
    network: networks.Network, recipe: Recipe, palette: Palette
) -> tuple[float, float, dict[str, Any]]:
    """Temperature and chroma for decoding, fitted on the held-out pictures, and the scores there.

    The pair with the least mean ab error, the distance (ab units) between a cell's decoded color
    and its mean color. Without held-out pictures both are 1 and there are no scores.
    """
    if not recipe.holdout:
        return 1.0, 1.0, {}
    rows = []  # a picture each: the error at every temperature and chroma
    grey = []
    for picture in held_out(recipe, palette, network.multiple):
        inputs, _ = inputs_and_classes(picture[None], palette, network.stride)
        logits = network(torch.from_numpy(inputs))[0].numpy()
        truth = cell_means(rgb8_to_lab(picture)[..., 1:], network.stride)
        guesses = [decode(logits, palette, None, t) for t in TEMPERATURES]
        rows.append([[ab_error(c * g, truth).mean() for c in CHROMAS] for g in guesses])
        grey.append(np.hypot(truth[..., 0], truth[..., 1]).mean())
    errors = np.array(rows)
    mean = errors.mean(axis=0)
    warm, strong = np.unravel_index(mean.argmin(), mean.shape)
    scores = {
        "ours": bootstrap_interval(errors[:, warm, strong])._asdict(),
        "grey": bootstrap_interval(np.array(grey))._asdict(),
    }
    held = {"holdout": {"n": len(errors), "ab_error": scores}}
    return TEMPERATURES[warm], CHROMAS[strong], held


def held_out(recipe: Recipe, palette: Palette, multiple: int) -> Iterator[NDArray[np.uint8]]:
    """Each held-out picture that is large enough, cut to sides that `multiple` divides."""
    for pictures in gather(recipe, palette).held:
        for index in range(len(pictures)):
            height, width = pictures.sides[index] // multiple * multiple
            if height and width:
                yield pictures[index][:height, :width]
