"""What tuning brings: scores on held-out pictures after equal steps, and after equal time."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from limner.files import write_atomically
from limner.learn import fit
from limner.learn.export import load
from limner.learn.run import assemble, build
from limner.learn.sources import MaskSources, gather_masks
from limner.networks import Network
from limner.recipe import Recipe
from limner.studies.record import FORMAT, Record, origin, read
from limner.studies.seeds import over_seeds, told
from limner.studies.study import Table
from limner.studies.tuning.cost import ALL, CACHED, LAST, learned

UNTOUCHED = "the head as it was"
EQUAL_STEPS, EQUAL_TIME = "equal steps", "equal time"
SCORES = ("loss", "accuracy", "mean_iou")
RATES = {ALL: 1e-4, LAST: 1e-2, CACHED: 1e-2}  # chosen on the first seed's held-out pictures
MOST_STEPS = 20_000  # however much time there is

Done = Callable[[int, int], None]
Qualities = Mapping[tuple[str, str], list[Record]]  # by arm and what is equal; a record a seed


def qualities(
    base: Path, recipe: Recipe, steps: int, seeds: int, folder: Path, done: Done
) -> Qualities:
    """Every arm from the model `base`, with a new last layer that each seed draws.

    For equal time an arm goes on for as long as tuning all takes for its steps. Finished runs are
    found again in the folder by the hash of what they depend on.
    """
    sources = gather_masks(recipe, None)
    found: dict[tuple[str, str], list[Record]] = {(UNTOUCHED, ""): []}
    found[UNTOUCHED, ""].append(carry_out(base, recipe, UNTOUCHED, 0, sources, folder))
    total = 5 * seeds
    for seed in range(seeds):
        seeded = replace(recipe, seed=seed)
        equal = {}
        for arm in (ALL, LAST, CACHED):
            equal[arm] = carry_out(base, seeded, arm, steps, sources, folder)
            found.setdefault((arm, EQUAL_STEPS), []).append(equal[arm])
            done(sum(map(len, found.values())) - 1, total)
        for arm in (LAST, CACHED):
            longer = round(steps * equal[ALL]["seconds"] / equal[arm]["seconds"])
            record = carry_out(base, seeded, arm, min(longer, MOST_STEPS), sources, folder)
            found.setdefault((arm, EQUAL_TIME), []).append(record)
            done(sum(map(len, found.values())) - 1, total)
    return found


def carry_out(
    base: Path, recipe: Recipe, arm: str, steps: int, sources: MaskSources, folder: Path
) -> Record:
    """One run, or its record."""
    settings = {
        "arm": arm,
        "base": hashlib.sha256(base.read_bytes()).hexdigest(),
        "data": sources.described,
        "recipe": {**recipe.to_dict(), "steps": steps},
    }
    text = json.dumps(settings, sort_keys=True).encode()
    name = hashlib.sha256(text).hexdigest()[:16]
    path = folder / "runs" / f"{name}.json"
    if os.path.isfile(path):
        return read(path)
    learning = arm != UNTOUCHED
    wanted = replace(
        recipe,
        epochs=0,
        steps=max(1, steps),
        learn=learned(recipe, arm),
        cache="fp32" if arm == CACHED else "none",
        learning_rate=RATES.get(arm, recipe.learning_rate),
    )
    with tempfile.TemporaryDirectory() as place:
        network = started(base, wanted, sources, fresh=learning)
        run = assemble(Path(place), wanted, sources, network, "fp32", torch.device("cpu"))
        if learning:
            fit.fit(run)
            lines = (Path(place) / "metrics.jsonl").read_text().splitlines()
            scores = json.loads(lines[-1])["validation"]
        else:
            held = list(sources.validation(wanted, network.stride))
            scores = fit.validate(run, held)
    record = {
        "format": FORMAT,
        "key": name,
        "settings": settings,
        "steps": run.step,
        "seconds": run.seconds,
        "trainable": sum(p.numel() for p in run.network.parameters() if p.requires_grad),
        "scores": {key: round(scores[key], 6) for key in SCORES},
        **origin(),
    }
    write_atomically(path, (json.dumps(record) + "\n").encode())
    return record


def started(base: Path, recipe: Recipe, sources: MaskSources, fresh: bool) -> Network:
    """The base's network, with a new last layer if it is to be fresh."""
    loaded, _ = load(base)
    network = build(recipe, sources.palette, pretrained=False)
    fit.take_weights(network, loaded, base, last=not fresh)
    return network


def quality_table(qualities: Qualities, held: int) -> Table:
    """Scores of every arm."""
    rows = []
    for (arm, equal), records in qualities.items():
        seconds = [record["seconds"] for record in records]
        scores = [
            told(over_seeds([record["scores"][name] for record in records])) for name in SCORES
        ]
        rows.append(
            (
                arm, equal or "-", len(records), records[0]["trainable"] if equal else 0,
                records[0]["steps"], f"{sum(seconds) / len(seconds):.1f}", *scores,
            )
        )  # fmt: skip
    header = (
        "what learns", "what is equal", "seeds", "parameters that learn", "steps",
        "seconds in steps", "loss, nats", "accuracy", "mean IoU",
    )  # fmt: skip
    note = (
        f"On the middle squares of {held} pictures cut from training, at the stride. All but the "
        "first row begin with a new last layer; kept features were computed before the steps, and "
        "that time is not in the seconds."
    )
    return Table("What tuning brings", header, rows, note)


def gains(qualities: Qualities, arm: str, equal: str) -> list[float]:
    """The mean IoU of each seed."""
    return [record["scores"]["mean_iou"] for record in qualities[arm, equal]]


def summary(qualities: Qualities) -> dict[str, Any]:
    """The records' figures for other programs."""
    return {
        f"{arm}, {equal}" if equal else arm: [
            {key: record[key] for key in ("steps", "seconds", "scores")} for record in records
        ]
        for (arm, equal), records in qualities.items()
    }
