"""What a training step costs on this machine: its seconds and its memory, in fresh processes; and
whether the machine is idle enough to say so."""

import os
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
from limner.errors import StudyError
from limner.learn import fit, machine
from limner.learn.loading.data import load
from limner.learn.loading.sources import Sources
from limner.learn.run import assemble, build
from limner.recipe import Recipe
from limner.scores import Interval
from limner.studies.catalog import RESULT, result
from limner.studies.record import palette_of

WARM = 5  # steps before the first that is timed
PROCESSES = 3  # that each figure is taken from: what one says is no finding
BUSY = 0.5  # processes that run beside, on average, from which on a machine is not idle


@dataclass(frozen=True)
class Measured:
    """Of each process: the seconds of its median training step, and the bytes by which it grew
    over all of them (None where the system does not tell)."""

    medians: list[float]
    grown: list[int | None]

    @property
    def step(self) -> Interval:
        """The median over the processes, with the least and the most."""
        low, high = min(self.medians), max(self.medians)
        return Interval(statistics.median(self.medians), low, high)

    @property
    def memory(self) -> Interval | None:
        """The same of the bytes."""
        told = [value for value in self.grown if value is not None]
        return Interval(statistics.median(told), min(told), max(told)) if told else None


def beside() -> float:
    """Processes that ran on this machine beside this one, over the last minute."""
    return os.getloadavg()[0]


def check_idle(folder: Path) -> float:
    """`beside`, before a timing begins.

    Raises StudyError if the folder's answer was timed on an idle machine and this one is busy: what
    could be found is not replaced by what could not.
    """
    load = beside()
    if load > BUSY and (folder / RESULT).is_file():
        before = result(folder)["facts"]["load"]
        if before <= BUSY:
            raise StudyError(
                f"{folder}: {load:.1f} other processes run, and its answer was timed beside "
                f"{before:.1f}; call again on an idle machine, or give another folder with -o"
            )
    return load


def measured(recipe: Recipe, rgb: NDArray[np.uint8], steps: int) -> Measured:
    """`measure` in fresh processes, one after the other, whose memory holds nothing else."""
    found = []
    for _ in range(PROCESSES):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found.append(pool.submit(measure, recipe, rgb, steps).result())
    medians, grown = zip(*found, strict=True)
    return Measured(list(medians), list(grown))


def measure(recipe: Recipe, rgb: NDArray[np.uint8], steps: int) -> tuple[float, int | None]:
    """The median of so many training steps on one batch, after a few to warm up, on one thread, in
    seconds; and the bytes by which the process grew."""
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
    return statistics.median(seconds[WARM:]), grown


def resident(key: str) -> int | None:
    """Bytes of this process that lie in memory, now ("VmRSS") or at most so far ("VmHWM"). Linux
    alone tells; getrusage's maximum would begin with the parent's."""
    if sys.platform != "linux":
        return None
    lines = Path("/proc/self/status").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith(f"{key}:"))
    return int(kibibytes) * 1024
