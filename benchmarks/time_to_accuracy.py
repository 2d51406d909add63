"""How fast the write-up's UNet learns what its recipe teaches it, and how much its time can buy.

    python benchmarks/time_to_accuracy.py [--data NAME|PATH] [--seeds N] [--pretrained] [--json]

(a) The write-up's UNet, unchanged, by the write-up's recipe (recipes/unet.toml) and by ours
(recipes/unet-fast.toml): the clock runs from the first step to the last, over decoded data, in the
same engine; validation, scoring and the start of the process are apart; nothing is compiled. Runs
have a fixed length, the final weights count, and every figure is a mean over the seeds with its
95 % interval (Student). (b) Anything trained on the same pictures within the time that the
write-up's recipe takes in (a): recipes/horses.toml, beside the grey look-up; and the shortest of a
few lengths after which that recipe is better than the look-up in all three scores.

The recipes were chosen on pictures cut from training (docs/log.md tells how); the test pictures
serve the report, and tell which of the few lengths is the first whose means are better. Runs of a
seed follow each other, so that a machine that slows down slows all of them. About 40 minutes for 5
seeds on two cores; run it on an idle machine.

With --pretrained, the second table instead (a quarter of an hour): recipes/horses.toml once more,
begun from what the same recipe taught it of CIFAR-10's other nine categories (once, seed 0, its
seconds apart). The look-up in the network is the horses' own.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from limner.dataset import CIFAR_CLASSES
from limner.learn import fit, machine
from limner.learn.loading.batches import stack
from limner.learn.loading.sources import gather
from limner.learn.run import Run, assemble, build
from limner.recipe import Recipe
from limner.scores import Interval
from limner.studies.answers import simple_answers
from limner.studies.record import origin
from limner.studies.scoring import Truth, score
from limner.studies.seeds import over_seeds
from limner.studies.work import predict

Weights = dict[str, torch.Tensor]

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
SCORES = ("loss", "accuracy", "ab_error")
OTHERS = tuple(name for name in CIFAR_CLASSES if name != "horse")
SHORT = (25, 50, 100, 200, 400, 800)  # steps, tried in turn until the look-up is beaten
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Trial:
    """A run of one seed: seconds from its first step to its last, and its scores on test."""

    seconds: float
    steps: int
    pictures: int  # seen
    macs: int  # multiply-adds of a step
    scores: dict[str, float]


def recipe_of(name: str, data: str) -> Recipe:
    return Recipe.load(RECIPES / f"{name}.toml", [f"data={json.dumps([data])}"])


def train(
    recipe: Recipe, seed: int, precision: machine.Precision, begin: Weights | None = None
) -> Trial:
    """One run from its random start, or from `begin`."""
    run = fitted(replace(recipe, seed=seed), precision, begin)
    pictures = round(run.steps / run.sources.per_epoch * sum(map(len, run.sources.sets)))
    return Trial(run.seconds, run.steps, pictures, step_macs(run), test_scores(run))


def fitted(recipe: Recipe, precision: machine.Precision, begin: Weights | None) -> Run:
    """A run of `limner train`'s own loop to its end, validated only after its last step."""
    sources = gather(recipe, None)
    steps = recipe.steps or recipe.epochs * sources.per_epoch
    recipe = replace(recipe, epochs=0, steps=steps, validate=0)
    with tempfile.TemporaryDirectory() as folder:
        network = build(recipe, sources.palette, pretrained=False)
        if begin is not None:
            network.load_state_dict(begin)
        # Counts the look-up of its pictures anew, whatever the network began from.
        run = assemble(Path(folder), recipe, sources, network, precision, CPU)
        fit.fit(run)
    return run


def step_macs(run: Run) -> int:
    """Multiply-adds of a step, forward and backward, as torch counts them."""
    network = build(run.recipe, run.palette, pretrained=False)
    inputs, _ = run.batches(0)
    with FlopCounterMode(display=False) as counter:
        network(inputs).sum().backward()
    macs: int = counter.get_total_flops() // 2
    return macs


def test_scores(run: Run) -> dict[str, float]:
    """The scores of the run's final weights on the test pictures."""
    truth = Truth(stack(run.sources.held[0]), run.palette)
    run.network.load_state_dict({**run.network.state_dict(), **run.ema})
    scores = score(predict(run.network.eval(), truth, run.recipe), truth)
    return {name: scores[name] for name in SCORES}


def mean_of(trials: list[Trial]) -> dict[str, Any]:
    """Means over the seeds, and their intervals."""
    columns = {"seconds": [t.seconds for t in trials]}
    columns |= {name: [t.scores[name] for t in trials] for name in SCORES}
    intervals = {name: over_seeds(values) for name, values in columns.items()}
    return {
        **{name: interval.value for name, interval in intervals.items()},
        "intervals": {name: bounds(interval) for name, interval in intervals.items()},
        "steps": trials[0].steps,
    }


def bounds(interval: Interval) -> list[float] | None:
    """[low, high], or None where one seed gives none."""
    return None if interval.low != interval.low else [interval.low, interval.high]


def until_lookup(
    recipe: Recipe, lookup: dict[str, float], seeds: int, precision: machine.Precision
) -> dict[str, Any] | None:
    """The shortest of SHORT that beats the look-up in all three scores; None if none does."""
    for steps in SHORT:
        short = replace(recipe, epochs=0, steps=steps, warmup=min(recipe.warmup, steps // 4))
        mean = mean_of([train(short, seed, precision) for seed in range(seeds)])
        better = mean["accuracy"] > lookup["accuracy"]
        if better and mean["loss"] < lookup["loss"] and mean["ab_error"] < lookup["ab_error"]:
            return mean
    return None


def measure(data: str, seeds: int) -> dict[str, Any]:
    """The whole document."""
    machine.keep_memory()
    chosen, _ = machine.choose_precision("auto", CPU)
    writeup, ours, best = (recipe_of(name, data) for name in ("unet", "unet-fast", "horses"))
    kinds: dict[str, tuple[Recipe, machine.Precision]] = {
        "writeup": (writeup, "fp32"),
        "ours": (ours, chosen),
        "best": (best, chosen),
    }
    trials: dict[str, list[Trial]] = {name: [] for name in kinds}
    for seed in range(seeds):
        for name, (recipe, precision) in kinds.items():
            trials[name].append(train(recipe, seed, precision))
            report(name, seed, trials[name][-1])
    lookup = simple_answers(data, gather(writeup, None).palette, 0)["grey look-up"]
    slow, fast = trials["writeup"], trials["ours"]
    ratios = [s.seconds / f.seconds for s, f in zip(slow, fast, strict=True)]
    each = [
        (s.seconds / s.pictures) / (f.seconds / f.pictures) for s, f in zip(slow, fast, strict=True)
    ]
    within = mean_of(trials["best"])
    within["share_of_the_time"] = within["seconds"] / mean_of(slow)["seconds"]
    peaks = {"fp32": machine.matrix_peak("fp32"), "bf16": machine.matrix_peak("bf16")}
    rate = statistics.median(t.macs * t.steps / t.seconds for t in fast)
    return {
        "writeup": mean_of(slow),
        "ours": mean_of(fast),
        "ratio": over_seeds(ratios).value,
        "epochs_ratio": slow[0].pictures / fast[0].pictures,
        "step_ratio": over_seeds(each).value,
        "intervals": {"ratio": bounds(over_seeds(ratios)), "step_ratio": bounds(over_seeds(each))},
        "within_budget": within,
        "until_lookup": until_lookup(best, lookup, seeds, chosen),
        "lookup": {name: lookup[name] for name in SCORES},
        "seeds": seeds,
        "peak": {
            "fp32_gflops": 2e-9 * peaks["fp32"],
            "bf16_gflops": 2e-9 * peaks["bf16"],
            "step_gflops": 2e-9 * rate,
        },
        "precision": chosen,
        "threads": torch.get_num_threads(),
        **origin(),
    }


def measure_pretrained(data: str, seeds: int) -> dict[str, Any]:
    """The whole document of the second table."""
    machine.keep_memory()
    precision, _ = machine.choose_precision("auto", CPU)
    recipe = recipe_of("horses", data)
    name = data.partition(":")[0]
    others = replace(recipe, data=tuple(f"{name}:{category}" for category in OTHERS))
    first = fitted(others, precision, None)
    begin = {name: value.clone() for name, value in first.network.state_dict().items()}
    trials = []
    for seed in range(seeds):
        trials.append(train(recipe, seed, precision, begin))
        report("pretrained", seed, trials[-1])
    lookup = simple_answers(data, first.palette, 0)["grey look-up"]
    return {
        "pretraining": {
            "seconds": first.seconds,
            "steps": first.steps,
            "pictures": sum(map(len, first.sources.sets)),
        },
        "pretrained": mean_of(trials),
        "lookup": {name: lookup[name] for name in SCORES},
        "seeds": seeds,
        "precision": precision,
        "threads": torch.get_num_threads(),
        **origin(),
    }


def report(name: str, seed: int, trial: Trial) -> None:
    """A finished run, as a line on stderr."""
    told = ", ".join(f"{column} {value:.4f}" for column, value in trial.scores.items())
    print(f"{name}, seed {seed}: {trial.seconds:.1f} s, {told}", file=sys.stderr, flush=True)


ROWS = (
    "writeup", "ours", "within_budget", "until_lookup", "pretraining", "pretrained", "lookup",
)  # fmt: skip


def show(document: dict[str, Any]) -> None:
    """The document as tables."""
    print(
        f"{document['machine']}, {document['threads']} threads, torch {document['torch']}, "
        f"commit {document['commit']}, {document['seeds']} seeds\n"
    )
    print("| | seconds | loss | accuracy | ab error |\n|---|---|---|---|---|")
    for name in ROWS:
        row = document.get(name)
        if row is not None:
            cells = [told(row, column) for column in ("seconds", *SCORES)]
            print(f"| {name} | {' | '.join(cells)} |")
    if "ratio" not in document:
        return
    print(
        f"\n{document['ratio']:.1f} times faster in {document['precision']}: "
        f"{document['epochs_ratio']:.1f} times fewer pictures, "
        f"{document['step_ratio']:.2f} times faster a picture"
    )
    for name, value in document["peak"].items():
        print(f"{name}: {value:.0f}")


def told(row: dict[str, Any], column: str) -> str:
    if column not in row:
        return "-"
    interval = row.get("intervals", {}).get(column)
    half = f" ± {(interval[1] - interval[0]) / 2:.3f}" if interval else ""
    return f"{row[column]:.3f}{half}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cifar10", metavar="NAME|PATH")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--pretrained", action="store_true", help="the second table instead")
    parser.add_argument("--json", action="store_true", help="print only the document")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds is at least 1")
    document = (measure_pretrained if options.pretrained else measure)(options.data, options.seeds)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        show(document)


if __name__ == "__main__":
    main()
