"""A colorizer learns a person's own colors: its last layer alone, from their color photographs."""

import copy
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch

from limner.card import Card
from limner.dataset import UNKNOWN, Dataset, find
from limner.errors import DataError, ModelError
from limner.learn import album, fit, machine
from limner.learn.export import export, load
from limner.learn.loading.data import Pictures, passing_folder
from limner.learn.loading.sources import Sources, cut, describe
from limner.learn.metrics import Report
from limner.learn.release import check_output
from limner.learn.run import assemble
from limner.networks import Network
from limner.recipe import Recipe

OWN = "own photographs"  # what a card calls a folder: its path says more than others should know
FINE = 3  # the short side of a photograph that is kept, in sides of a crop
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
    blends: 0 is the old layer, 1 the new one. Decoding stays the model's. A photograph that cannot
    be read is left out, which `report` is told; what is kept on the way goes at the end. Raises
    ModelError for a model that does not colorize or a file that exists, DataError for too few
    photographs or such that are all grey, Stopped after Ctrl-C, with nothing written, and what
    training raises.
    """
    check_output(output, overwrite)
    network, card = load(source)
    if card.task != "colorize":
        raise ModelError(f"{source}: a model to {card.task}; give one that colorizes")
    found = find(photos, "train")
    name = name_of(found, card)
    with passing_folder("personalize") as folder:
        found, pictures = album.read(found, photos, FINE * crop_side(card), folder, report)
        if len(pictures) < 2:
            raise DataError(
                f"{photos}: {len(pictures)} to learn from, and 2 photographs are needed at least; "
                "give more, dozens are better"
            )
        if not in_color(pictures):
            raise DataError(f"{photos}: all its photographs are grey; give photographs in color")
        recipe = recipe_of(card, network.last_layer, name, len(pictures), steps, seed)
        if learn:
            recipe = replace(recipe, learn=(learn,))
        learned, held = cut(len(pictures), found, recipe, photos, 1.0)
        told = describe(found, found.fingerprint(), learned, held)
        sets, apart = [pictures.take(learned)], [pictures.take(held)]
        per_epoch = len(learned) // recipe.batch
        sources = Sources(sets, apart, card.palette, {name: told}, per_epoch)
        try:
            state = train(copy.deepcopy(network), recipe, sources, folder, report)
        except fit.Stopped as stopped:
            raise fit.Stopped(f"{output}: stopped, not written; personalize again") from stopped
    blend(network, state, strength)
    personal = replace(
        card,
        name=output.stem,
        recipe={**card.recipe, "personalized": {**recipe.to_dict(), "strength": strength}},
        data={**card.data, name: told},
        scores={},  # those of the model as it was
        license=f"{card.license}; and those of the photographs it was personalized with: "
        f"{told['terms']}",
    )
    export(network, personal, output, overwrite=overwrite)
    return personal


def train(
    network: Network, recipe: Recipe, sources: Sources, folder: Path, report: Report | None
) -> dict[str, torch.Tensor]:
    """What the network's weights are when it has learned by the recipe; run and kept features lie
    in that folder."""
    (folder / "run").mkdir()
    where = machine.choose_device("auto")
    precision, _ = machine.choose_precision("auto", where)
    run = assemble(folder / "run", recipe, sources, network, precision, where)
    run.cache = folder
    fit.fit(run, report)
    return run.network.state_dict()


def name_of(found: Dataset, card: Card) -> str:
    """What the card calls the photographs: a set whose terms are known has a name, a folder has a
    number where the model knows another one already."""
    if found.terms != UNKNOWN:
        return found.name
    others = sum(name.startswith(OWN) for name in card.data)
    return f"{OWN} {others + 1}" if others else OWN


def crop_side(card: Card) -> int:
    """The side of the crops: the size at which the model works, as its network divides it."""
    return -(-card.working_size // card.multiple) * card.multiple


def recipe_of(
    card: Card, last_layer: str, photos: str, count: int, steps: int, seed: int
) -> Recipe:
    """How the last layer of the card's network learns from crops of `count` pictures."""
    known = {field.name for field in fields(Recipe)}
    arguments = card.network["arguments"]
    document = {
        **{key: value for key, value in arguments.items() if key in known},
        "name": card.name,
        "network": card.network["name"],
        "learn": [last_layer],
        "data": [photos],
        "holdout": HOLDOUT,
        "size": crop_side(card),
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
            value.lerp_(learned[name].to(value), strength)
