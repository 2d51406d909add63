"""What the engine costs beside a bare step loop, and how far both are from the machine's peak.

    python benchmarks/engine.py [RECIPE.toml]        (default recipes/unet.toml; about two minutes)

In turn, ROUNDS times: STEPS bare steps on one fixed batch in float32, the engine's own first STEPS
steps of the recipe (order, learning rate, records, checkpoints; validation apart), and BF16_STEPS
bare steps in bfloat16. Medians over the rounds; run it on an idle machine.
"""

import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from limner.learn import fit, machine
from limner.learn.loading.batches import Batch
from limner.learn.loading.sources import Sources, gather
from limner.learn.run import assemble, build
from limner.recipe import Recipe

ROUNDS, STEPS = 3, 50
BF16_STEPS = 10  # fewer: where bf16 is slow, it is very slow
SHOWN = 8  # operators
CPU = torch.device("cpu")


def bare(
    recipe: Recipe, sources: Sources, batch: Batch, precision: str, steps: int
) -> tuple[float, int]:
    """Seconds a step of the plainest loop on one batch, and the multiply-adds of a step."""
    network = build(recipe, sources.palette, pretrained=False).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate)
    inputs = batch[0].contiguous(memory_format=torch.channels_last)
    classes = batch[1]

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = network(inputs)
        rows = logits.permute(0, 2, 3, 1).flatten(0, 2).float()
        loss = cross_entropy(rows, classes.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with FlopCounterMode(display=False) as counter:
        step()
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - begin) / steps, counter.get_total_flops() // 2


def engine(recipe: Recipe, sources: Sources) -> float:
    """Seconds a step of `limner train` itself, validation apart."""
    with tempfile.TemporaryDirectory() as folder:
        network = build(recipe, sources.palette, pretrained=False)
        run = assemble(Path(folder), recipe, sources, network, "fp32", CPU)
        fit.fit(run)
        return run.seconds / run.steps


def slowest_operators(recipe: Recipe, sources: Sources, batch: Batch) -> list[tuple[str, float]]:
    """The operators that take the most time of a step, with their shares."""
    with tempfile.TemporaryDirectory() as folder:
        network = build(recipe, sources.palette, pretrained=False)
        run = assemble(Path(folder), recipe, sources, network, "fp32", CPU)
        fit.learn(run, batch)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for _ in range(5):
                fit.learn(run, batch)
    events = profiled.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    events = sorted(events, key=lambda event: -event.self_cpu_time_total)
    return [(event.key, event.self_cpu_time_total / total) for event in events[:SHOWN]]


def main(path: str) -> None:
    machine.keep_memory()
    recipe = Recipe.load(path, [f"steps={STEPS}"])
    sources = gather(recipe, None)
    batch = sources.batches(recipe, 1)(0)
    seconds: dict[str, list[float]] = {"bare fp32": [], "engine fp32": [], "bare bf16": []}
    for _ in range(ROUNDS):
        once, macs = bare(recipe, sources, batch, "fp32", STEPS)
        seconds["bare fp32"].append(once)
        seconds["engine fp32"].append(engine(recipe, sources))
        seconds["bare bf16"].append(bare(recipe, sources, batch, "bf16", BF16_STEPS)[0])
    peak = machine.matrix_peak("fp32")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    chosen, _ = machine.choose_precision("auto", CPU)
    print(
        f"{path}: {platform.processor() or platform.machine()}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {ROUNDS} rounds of {STEPS} steps of batch "
        f"{recipe.batch}; precision auto chooses {chosen}\n"
    )
    print("| loop | ms a step | of bare fp32 | share of the fp32 matrix peak |\n|---|---|---|---|")
    for name, value in medians.items():
        share = macs / value / peak
        print(f"| {name} | {1e3 * value:.1f} | {value / medians['bare fp32']:.3f} | {share:.2f} |")
    print(f"\npeak: {peak / 1e9:.0f} G multiply-adds a second; a step is {macs / 1e9:.2f} G\n")
    print("| operator | share of the engine's step |\n|---|---|")
    for name, share in slowest_operators(recipe, sources, batch):
        print(f"| `{name}` | {share:.1%} |")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "recipes/unet.toml")
