"""What a training step costs on this machine: its seconds and its memory, in a fresh process."""

import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from limner.dataset import Dataset
from limner.learn import fit, machine
from limner.learn.data import load
from limner.learn.run import assemble, build
from limner.learn.sources import Sources
from limner.recipe import Recipe
from limner.scores import Interval
from limner.studies.record import palette_of

WARM = 2  # steps before the first that is timed


@dataclass(frozen=True)
class Measured:
    """Seconds of each training step, and the bytes by which the process grew over all of them
    (None where the system does not tell)."""

    seconds: list[float]
    grown: int | None

    @property
    def step(self) -> Interval:
        """The median step, with the quartiles."""
        low, middle, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return Interval(middle, low, high)


def measured(recipe: Recipe, rgb: NDArray[np.uint8], steps: int) -> Measured:
    """`measure` in a fresh process, whose memory holds nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, recipe, rgb, steps).result()


def measure(recipe: Recipe, rgb: NDArray[np.uint8], steps: int) -> Measured:
    """Time so many training steps on one batch, after a few to warm up, on one thread."""
    torch.set_num_threads(1)
    machine.keep_memory()  # as training does
    palette = palette_of(recipe)
    sources = Sources([load(Dataset("timing", "train", images=rgb))], [], palette, {}, 1)
    before = resident("VmRSS")
    network = build(recipe, palette, pretrained=False)
    run = assemble(Path(), recipe, sources, network, "fp32", torch.device("cpu"))
    batch = run.batches(0)
    seconds = []
    for _ in range(WARM + steps):
        begin = time.perf_counter()
        fit.learn(run, batch)
        seconds.append(time.perf_counter() - begin)
    after = resident("VmHWM")
    grown = None if before is None or after is None else after - before
    return Measured(seconds[WARM:], grown)


def resident(key: str) -> int | None:
    """Bytes of this process that lie in memory, now ("VmRSS") or at most so far ("VmHWM"). Linux
    alone tells; getrusage's maximum would begin with the parent's."""
    if sys.platform != "linux":
        return None
    lines = Path("/proc/self/status").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith(f"{key}:"))
    return int(kibibytes) * 1024
