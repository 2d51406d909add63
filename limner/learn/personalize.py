"""A colorizer learns a person's own colors: its last layer alone, from their color photographs."""

import os
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch

from limner.card import Card
from limner.dataset import find
from limner.errors import DataError, ModelError
from limner.learn import fit
from limner.learn.data import Pictures
from limner.learn.export import export, load
from limner.learn.metrics import Report
from limner.learn.release import trained
from limner.learn.sources import gather
from limner.recipe import Recipe

VIEWS = 4  # crops of each photograph
BATCH = 16  # at most
STEPS = 300
RATE = 1e-3
HOLDOUT = 100  # photographs that only validate, at most a fifth of them


def personalize(
    source: Path,
    photos: str,
    output: Path,
    *,
    strength: float = 1.0,
    steps: int = STEPS,
    learn: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    report: Report | None = None,
) -> Card:
    """Write the model `source` with a last layer that has learned from `photos` (NAME|PATH).

    What the other layers say of VIEWS crops of each photograph is computed once; the last layer
    (or the part of it that `learn` names, its bias say) then learns from that. `strength`, 0..1,
    blends: 0 is the old layer, 1 the new one. Decoding stays the model's. Raises ModelError for a
    model that does not colorize or a file that exists, DataError for photographs that are all grey,
    Stopped after Ctrl-C, with nothing written, and what training raises.
    """
    if os.path.lexists(output) and not overwrite:
        raise ModelError(f"{output}: exists already; choose another name or add --overwrite")
    if not os.path.isdir(output.parent):
        raise ModelError(f"{output}: its folder does not exist; make it first")
    network, card = load(source)
    if card.task != "colorize":
        raise ModelError(f"{source}: a model to {card.task}; give one that colorizes")
    recipe = recipe_of(card, network.last_layer, photos, steps, seed)
    if learn:
        recipe = replace(recipe, learn=(learn,))
    sources = gather(recipe, card.palette, report and fit.decoding(report))
    if not any(in_color(pictures) for pictures in sources.sets):
        raise DataError(f"{photos}: all its photographs are grey; give photographs in color")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        try:
            fit.start(recipe, run, source=source, report=report)
        except fit.Stopped as stopped:
            raise fit.Stopped(f"{output}: stopped, not written; personalize again") from stopped
        document, _, learned = trained(run)
    blend(network, learned.state_dict(), strength)
    told = next(iter(document["data"].values()))
    personal = replace(
        card,
        name=output.stem,
        recipe={**card.recipe, "personalized": {**recipe.to_dict(), "strength": strength}},
        data={**card.data, photos: told},
        scores={},  # those of the model as it was
        license=f"{card.license}; and those of the photographs it was personalized with: "
        f"{told['terms']}",
    )
    export(network, personal, output, overwrite=overwrite)
    return personal


def recipe_of(card: Card, last_layer: str, photos: str, steps: int, seed: int) -> Recipe:
    """How the last layer of the card's network learns from crops of a person's pictures."""
    count = len(find(photos, "train"))
    known = {field.name for field in fields(Recipe)}
    arguments = card.network["arguments"]
    document = {
        **{key: value for key, value in arguments.items() if key in known},
        "name": card.name,
        "network": card.network["name"],
        "learn": [last_layer],
        "data": [photos],
        "holdout": HOLDOUT,
        "size": -(-card.working_size // card.multiple) * card.multiple,
        "zoom": 0.7,
        "flip": True,
        "views": VIEWS,
        "cache": "fp32",
        "batch": max(1, min(BATCH, 4 * count // 5)),  # no more than there are to learn from
        "steps": steps,
        "optimizer": "adamw",
        "learning_rate": RATE,
        "schedule": "cosine",
        "seed": seed,
    }
    return Recipe.from_dict(document, card.name)


def in_color(pictures: Pictures) -> bool:
    """Whether any pixel of any picture has a color."""
    return any(bool(np.ptp(pictures[index], axis=-1).any()) for index in range(len(pictures)))


def blend(network: torch.nn.Module, learned: dict[str, torch.Tensor], strength: float) -> None:
    """Move the network's weights towards the learned ones by that share of the way, in place."""
    state = network.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            value.lerp_(learned[name].to(value.dtype), strength)
