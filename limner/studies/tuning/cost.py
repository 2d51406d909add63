"""What a training step costs, by what learns: seconds and memory, each in fresh processes."""

import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import nn

from limner.accounting.account import account
from limner.accounting.rows import Totals
from limner.learn import machine
from limner.learn.features import last_inputs
from limner.learn.fit import loss_of
from limner.learn.loading.data import Pictures
from limner.learn.loading.sources import MaskSources
from limner.learn.run import Run, assemble, build
from limner.masks.labels import voc_labels
from limner.recipe import Recipe
from limner.studies.study import Table
from limner.studies.timing import PROCESSES, resident

ALL, LAST, CACHED = "all", "last layer", "last layer, cached"
ARMS = (ALL, LAST, CACHED)
MEGA = 1e6
WARM = 2  # steps before the first that is timed; these take seconds


@dataclass(frozen=True)
class Cost:
    """Of one arm at one side. Of each process, the seconds of the median step's forward pass (with
    the loss), and of its backward pass with the optimizer's step; of the median pass that computes
    a batch's features, which are then kept (none where nothing is). Bytes of the median process
    before the network was there, with it, and at most over the steps (None where the system does
    not tell). counted: the account's totals of what is computed in a step."""

    forward: list[float]
    backward: list[float]
    keeping: list[float]
    empty: int | None
    built: int | None
    peak: int | None
    counted: Totals

    @property
    def steps(self) -> list[float]:
        """Seconds of each process's step."""
        return [a + b for a, b in zip(self.forward, self.backward, strict=True)]

    @property
    def step(self) -> float:
        """Seconds of the median process's step."""
        return statistics.median(self.steps)

    @property
    def ratio(self) -> float:
        """The median backward pass over the median forward pass."""
        return statistics.median(self.backward) / statistics.median(self.forward)

    @property
    def grown(self) -> int | None:
        """Bytes by which the process grew over the network, its gradients, moments and steps."""
        return None if self.peak is None or self.empty is None else self.peak - self.empty


Costs = Mapping[tuple[str, int], Cost]  # by arm and side


def costs(recipe: Recipe, sides: Sequence[int], steps: int) -> Costs:
    """Every arm at every side, one after the other, each in PROCESSES processes whose memory holds
    nothing else."""
    found = {}
    for side in sides:
        for arm in ARMS:
            wanted = replace(recipe, size=side, learn=learned(recipe, arm))
            each = []
            for _ in range(PROCESSES):
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    each.append(pool.submit(measure, wanted, arm == CACHED, steps).result())
            found[arm, side] = together(each)
    return found


def together(each: Sequence[Cost]) -> Cost:
    """What several processes say of the same arm and side."""

    def middle(name: str) -> int | None:
        told = [value for one in each if (value := getattr(one, name)) is not None]
        return round(statistics.median(told)) if told else None

    return Cost(
        forward=[second for one in each for second in one.forward],
        backward=[second for one in each for second in one.backward],
        keeping=[second for one in each for second in one.keeping],
        empty=middle("empty"),
        built=middle("built"),
        peak=middle("peak"),
        counted=each[0].counted,
    )


def learned(recipe: Recipe, arm: str) -> tuple[str, ...]:
    """What learns in an arm, as a recipe says it."""
    return ("all",) if arm == ALL else recipe.learn


def measure(recipe: Recipe, cached: bool, steps: int) -> Cost:
    """The median of so many training steps on one random batch, after a few to warm up, on one
    thread; as what one process says.

    With kept features the network does not run in a step: its last layer sees numbers of their
    shape. What it takes to compute them is timed afterwards.
    """
    torch.set_num_threads(1)
    machine.keep_memory()  # as training does
    warm_up(recipe)
    empty = resident("VmRSS")
    run = random_run(recipe)
    pictures, classes = run.batches(0)
    inputs = pictures
    if cached:
        run.learner = run.network.get_submodule(run.network.last_layer)
        inputs = torch.rand(recipe.batch, *features_of(run))
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    built = resident("VmRSS")
    forward, backward, keeping = [], [], []
    for _ in range(WARM + steps):
        begin = time.perf_counter()
        loss = loss_of(run.learner(inputs), classes, run.class_weights)
        middle = time.perf_counter()
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.optimizer.step()
        forward.append(middle - begin)
        backward.append(time.perf_counter() - middle)
    peak = resident("VmHWM")
    for _ in range(WARM + steps if cached else 0):
        begin = time.perf_counter()
        last_inputs(run, pictures)
        keeping.append(time.perf_counter() - begin)
    seen = tuple(inputs.shape[1:])
    counted = account(run.learner, input=seen, batch=recipe.batch).totals
    forward, backward, keeping = (
        [statistics.median(seconds[WARM:])] if seconds else []
        for seconds in (forward, backward, keeping)
    )
    return Cost(forward, backward, keeping, empty, built, peak, counted)


def warm_up(recipe: Recipe) -> None:
    """Load the code that the network and the optimizer load when they are first used, so that its
    100 MB do not count as theirs."""
    with torch.device("meta"):
        build(recipe, voc_labels(), pretrained=False)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


def random_run(recipe: Recipe) -> Run:
    """A run of the recipe's network, with random weights, on random pictures of its size."""
    labels = voc_labels()
    random = np.random.default_rng(recipe.seed)
    n, side = recipe.batch, recipe.size
    pixels = random.integers(0, 256, 3 * n * side * side, dtype=np.uint8)
    classes = random.integers(0, len(labels), n * side * side, dtype=np.uint8)
    sides = np.full((n, 2), side)
    pictures = Pictures(pixels, sides, np.arange(n) * 3 * side * side)
    masks = Pictures(classes, sides, np.arange(n) * side * side, channels=1)
    network = build(recipe, labels, pretrained=False)
    sources = MaskSources([pictures], [], labels, {}, 1, [masks], [])
    return assemble(Path(), recipe, sources, network, "fp32", torch.device("cpu"))


def features_of(run: Run) -> tuple[int, int, int]:
    """The shape of what the last layer sees of one picture: channels, height, width."""
    last = run.network.get_submodule(run.network.last_layer)
    assert isinstance(last, nn.Conv2d)
    side = run.recipe.size // run.network.stride
    return last.in_channels, side, side


def cost_table(costs: Costs, batch: int, busy: float) -> Table:
    """Seconds and memory beside the account."""
    rows = [
        (
            arm, side, one.counted.trainable, f"{1e3 * one.step:.4g}",
            f"{1e3 * min(one.steps):.4g} to {1e3 * max(one.steps):.4g}",
            milliseconds(one.forward), milliseconds(one.backward), f"{100 * one.ratio:.0f} %",
            f"{100 * backward(one.counted):.3g} %", milliseconds(one.keeping),
            megabytes(one.empty), megabytes(one.grown),
            megabytes(one.counted.peak_training), megabytes(one.counted.saved),
        )
        for (arm, side), one in costs.items()
    ]  # fmt: skip
    header = (
        "what learns", "side, px", "parameters that learn", "step, ms", "least and most",
        "forward, ms", "backward, ms",
        "backward over forward, measured", "backward over forward, counted",
        "keeping a batch's features, ms",
        "process before, MB", "grown, MB", "counted peak, MB", "counted, saved for backward, MB",
    )  # fmt: skip
    note = (
        f"Steps on {batch} random pictures, random weights, Adam, float32, one thread; medians of "
        f"{PROCESSES} fresh processes, whose own steps' medians they are. Features are kept once "
        "for each view. Before: the interpreter and torch. "
        "Grown: at most, over that; of kept "
        "features it holds the idle network, too. Counted: the account of what is computed in a "
        f"step (of kept features the last layer alone). Processes beside: {busy:.2f}."
    )
    return Table("What a step costs", header, rows, note)


def backward(totals: Totals) -> float:
    """Connections of a backward pass over those of the forward pass."""
    return (totals.input_gradient + totals.weight_gradient) / totals.training_forward


def milliseconds(seconds: Sequence[float]) -> str:
    """The median over the processes."""
    return f"{1e3 * statistics.median(seconds):.4g}" if seconds else "-"


def megabytes(value: int | None) -> str:
    return "-" if value is None else f"{value / MEGA:,.1f}"
