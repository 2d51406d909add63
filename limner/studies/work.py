"""One run of a study, from its recipe to its record, in a process of its own."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from limner import networks
from limner.files import write_atomically
from limner.learn import fit
from limner.learn.loading import augment
from limner.learn.loading.batches import inputs_and_classes, stack
from limner.learn.loading.sources import gather
from limner.learn.release import trained
from limner.palette import Palette
from limner.recipe import Recipe
from limner.studies.record import FORMAT, Record, key, origin, pack
from limner.studies.scoring import Truth, by_class, score

SHOWN = 24  # pictures whose predicted classes the record keeps
TOGETHER = 100  # pictures a pass
DIGITS = 6


def carry_out(recipe: Recipe, unfinished: Path, records: Path) -> None:
    """Train (or go on with) the run, score it, and leave records/KEY.json.

    unfinished/KEY holds the run meanwhile. One thread, float32: a record does not depend on what
    else the machine does. CUDA trains where it is there, and the record says so. Raises what
    training raises.
    """
    torch.set_num_threads(1)
    name = key(recipe)
    folder = unfinished / name
    if os.path.isfile(folder / "run.json"):
        fit.resume(folder)
    else:
        fit.start(recipe, folder, precision="fp32")
    record = describe(recipe, folder)
    write_atomically(records / f"{name}.json", (json.dumps(record) + "\n").encode())
    shutil.rmtree(folder)


def describe(recipe: Recipe, folder: Path) -> Record:
    """The record of the finished run in `folder`."""
    document, steps, network = trained(folder)
    palette = Palette.from_json(document["palette"])
    sources = gather(recipe, palette)
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [m for m in metrics if "loss" in m]
    validations = [m for m in metrics if "validation" in m]
    sets = {}
    shown = []
    for (spec, _), pictures in zip(recipe.sets(), sources.held, strict=True):
        truth = Truth(stack(pictures), palette)
        logits = predict(network, truth, recipe)
        scores = {name: round(value, DIGITS) for name, value in score(logits, truth).items()}
        sets[spec] = {"n": len(pictures), "scores": scores, "classes": by_class(logits, truth)}
        shown.append(logits[:, :SHOWN].argmax(axis=0))
    settings = recipe.to_dict()
    del settings["name"], settings["palette"]
    return {
        "format": FORMAT,
        "key": key(recipe),
        "settings": settings,
        "palette": document["palette"],
        "data": document["data"],
        "steps": steps,
        "seconds": metrics[-1]["seconds"],
        "threads": document["threads"],
        "precision": document["precision"],
        "device": document["device"],
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": {"step": [m["step"] for m in losses], "loss": [m["loss"] for m in losses]},
        "validation": {
            "step": [m["step"] for m in validations],
            "loss": [m["validation"]["loss"] for m in validations],
            "accuracy": [m["validation"]["accuracy"] for m in validations],
        },
        "sets": sets,
        "pictures": pack(shown[0]),
        **origin(),
    }


@torch.no_grad()
def predict(network: networks.Network, truth: Truth, recipe: Recipe) -> NDArray[np.float32]:
    """The network's logits [K, N, H, W] on the pictures."""
    parts = []
    for first in range(0, len(truth.rgb), TOGETHER):
        rgb = truth.rgb[first : first + TOGETHER]
        light, _ = inputs_and_classes(rgb, truth.palette, network.stride)
        parts.append(network(torch.from_numpy(augment.affine(light, recipe))).numpy())
    return np.ascontiguousarray(np.concatenate(parts).swapaxes(0, 1))
