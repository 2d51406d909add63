"""What tuning brings: scores on held-out pictures after equal steps, and after equal time."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from limner.files import write_atomically
from limner.learn import fit
from limner.learn.export import load
from limner.learn.loading.sources import MaskSources
from limner.learn.run import Run, assemble, build
from limner.networks import Network
from limner.recipe import Recipe
from limner.studies.record import FORMAT, Record, origin, read
from limner.studies.seeds import over_seeds, told
from limner.studies.study import Table
from limner.studies.timing import BUSY
from limner.studies.tuning.cost import ALL, CACHED, LAST, learned

UNTOUCHED = "the head as it was"
EQUAL_STEPS, EQUAL_TIME = "equal steps", "equal time"
SCORES = ("loss", "accuracy", "mean_iou")
RATES = {ALL: 1e-4, LAST: 1e-2, CACHED: 1e-2}  # a new layer alone bears more than what is known
MOST_STEPS = 20_000  # however much time there is

Qualities = Mapping[tuple[str, str], list[Record]]  # by arm and what is equal; a record a seed


def qualities(
    base: Path,
    recipe: Recipe,
    sources: MaskSources,
    steps: int,
    seeds: int,
    folder: Path,
    load: float,
) -> Qualities:
    """Every arm from the model `base`, with a new last layer that each seed draws.

    For equal time an arm goes on for as long as tuning all takes for its steps. Finished runs are
    found again in the folder by the hash of what they depend on; but not those whose seconds a busy
    machine took, if it is idle now. load: of other processes.
    """
    untouched = carry_out(base, recipe, UNTOUCHED, 1, sources, folder, load)
    found: dict[tuple[str, str], list[Record]] = {(UNTOUCHED, ""): [untouched]}
    for seed in range(seeds):
        seeded = replace(recipe, seed=seed)
        equal = {}
        for arm in (ALL, LAST, CACHED):
            equal[arm] = carry_out(base, seeded, arm, steps, sources, folder, load)
            found.setdefault((arm, EQUAL_STEPS), []).append(equal[arm])
        for arm in (LAST, CACHED):
            longer = round(steps * equal[ALL]["seconds"] / equal[arm]["seconds"])
            longer = min(max(1, longer), MOST_STEPS)
            record = carry_out(base, seeded, arm, longer, sources, folder, load)
            found.setdefault((arm, EQUAL_TIME), []).append(record)
    return found


def carry_out(
    base: Path,
    recipe: Recipe,
    arm: str,
    steps: int,
    sources: MaskSources,
    folder: Path,
    load: float,
) -> Record:
    """One run, or its record. Raises Stopped after Ctrl-C: it is then begun anew, the others are
    kept."""
    wanted = replace(
        recipe,
        epochs=0,
        steps=steps,
        learn=learned(recipe, arm),
        cache="fp32" if arm == CACHED else "none",
        learning_rate=RATES.get(arm, recipe.learning_rate),
    )
    settings = settings_of(base, wanted, arm, sources)
    text = json.dumps(settings, sort_keys=True).encode()
    name = hashlib.sha256(text).hexdigest()[:16]
    path = folder / "runs" / f"{name}.json"
    if os.path.isfile(path):
        kept = read(path)
        if kept["load"] <= BUSY or load > BUSY:
            return kept
    with tempfile.TemporaryDirectory() as place:
        network = started(base, wanted, sources, fresh=arm != UNTOUCHED)
        run = assemble(Path(place), wanted, sources, network, "fp32", torch.device("cpu"))
        try:
            scores = scored(run, arm)
        except fit.Stopped as stopped:
            raise fit.Stopped(
                f"{folder}: stopped; finished runs are kept, call the same study again to go on"
            ) from stopped
    record = {
        "format": FORMAT,
        "key": name,
        "settings": settings,
        "steps": run.step,
        "seconds": run.seconds,
        "load": load,
        "trainable": 0 if arm == UNTOUCHED else trainable(run),
        "scores": {key: round(scores[key], 6) for key in SCORES},
        **origin(),
    }
    write_atomically(path, (json.dumps(record) + "\n").encode())
    return record


def settings_of(base: Path, recipe: Recipe, arm: str, sources: MaskSources) -> dict[str, Any]:
    """All that a run depends on, for its seconds the threads too; no names, no folders."""
    own = recipe.to_dict()
    del own["name"], own["data"]
    return {
        "arm": arm,
        "base": hashlib.sha256(base.read_bytes()).hexdigest(),
        "data": list(sources.described.values()),
        "recipe": own,
        "threads": torch.get_num_threads(),
    }


def scored(run: Run, arm: str) -> dict[str, float]:
    """Train the run, unless it is of the untouched head, and score it on the held-out pictures."""
    if arm == UNTOUCHED:
        return fit.validate(run, list(run.sources.validation(run.recipe, run.network.stride)))
    fit.fit(run)
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    scores: dict[str, float] = json.loads(lines[-1])["validation"]
    return scores


def trainable(run: Run) -> int:
    """Parameters that learn."""
    return sum(p.numel() for p in run.network.parameters() if p.requires_grad)


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
        seconds, steps = ([record[key] for record in records] for key in ("seconds", "steps"))
        scores = [
            told(over_seeds([record["scores"][name] for record in records])) for name in SCORES
        ]
        rows.append(
            (
                arm, equal or "-", len(records), records[0]["trainable"], round(mean(steps)),
                f"{mean(seconds):.1f}", *scores,
            )
        )  # fmt: skip
    header = (
        "what learns", "what is equal", "seeds", "parameters that learn", "steps (mean)",
        "seconds in steps (mean)", "loss, nats", "accuracy", "mean IoU",
    )  # fmt: skip
    note = (
        f"On the middle squares of {held} pictures cut from training, at the stride; the base did "
        "not learn from them. All but the first row begin with a new last layer; kept features "
        "were computed before the steps, and that time is not in the seconds."
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
