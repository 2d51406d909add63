"""The runs of a study: those that are missing, several side by side, each once and for all."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from limner.errors import LimnerError, StudyError
from limner.learn import fit, machine
from limner.learn.run import assemble, build
from limner.learn.sources import gather
from limner.recipe import Recipe
from limner.studies import work
from limner.studies.record import Record, find_record, key
from limner.studies.study import Arms, Records

CHUNK = 7200.0  # seconds that one sitting lasts at most; the rest is done when it is called again
STEPS = 2  # of a network, to estimate how long it takes
SAMPLE = 100  # pictures of such a step
NICER = 10

Done = Callable[[int, int], None]


class Paused(LimnerError):
    """A sitting's time is over, and runs are left; what is done is kept."""

    exit_code = 1


def places(folder: Path) -> list[Path]:
    """Where finished records may lie: the study's own folder, then those of its neighbors."""
    return [folder / "runs", *sorted(folder.parent.glob("*/runs"))]


def in_order(arms: Arms) -> list[Recipe]:
    """All runs, seed by seed: whatever is done first says something of every arm."""
    rounds = zip_longest(*arms.values())
    return [recipe for seeds in rounds for recipe in seeds if recipe is not None]


def missing(recipes: Sequence[Recipe], folder: Path) -> dict[str, Recipe]:
    """The runs without a record, each once, by their keys."""
    wanted = {key(recipe): recipe for recipe in recipes}
    return {k: r for k, r in wanted.items() if find_record(places(folder), k) is None}


def collect(arms: Arms, folder: Path) -> Records:
    """The records of all runs, arm by arm. Raises StudyError if one is missing."""

    def record(recipe: Recipe) -> Record:
        found = find_record(places(folder), key(recipe))
        if found is None:
            raise StudyError(f"{folder}: the run of {recipe.name} has no record; run the study")
        return found

    return {name: tuple(record(recipe) for recipe in recipes) for name, recipes in arms.items()}


def estimate(recipes: Sequence[Recipe], jobs: int) -> float:
    """Seconds that the runs will take, from two steps of each network on this machine's thread."""
    machine.keep_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    rates: dict[object, float] = {}
    total = 0.0
    for recipe in recipes:
        sources = gather(recipe, None)
        kind = (recipe.network, str(recipe.network_arguments()), len(sources.palette))
        if kind not in rates:
            rates[kind] = seconds_a_picture(recipe)
        steps = recipe.steps or recipe.epochs * sources.per_epoch
        total += steps * recipe.batch * rates[kind]
    torch.set_num_threads(before)
    return total / jobs


def seconds_a_picture(recipe: Recipe) -> float:
    """Seconds of training a picture of the recipe, from the faster of a few steps."""
    sources = gather(recipe, None)
    network = build(recipe, sources.palette, pretrained=False)
    run = assemble(Path(), recipe, sources, network, "fp32", torch.device("cpu"))
    inputs, classes = next(sources.validation(recipe))
    seconds = []
    for _ in range(1 + STEPS):
        begin = time.perf_counter()
        fit.learn(run, (inputs[:SAMPLE], classes[:SAMPLE]))
        seconds.append(time.perf_counter() - begin)
    return min(seconds) / len(inputs[:SAMPLE])


def carry_out(recipes: dict[str, Recipe], folder: Path, done: Done, jobs: int) -> None:
    """Do the runs, `jobs` side by side, each in its own process with one thread, niced.

    `done(finished, all)` is told of each. Records go to folder/runs, unfinished runs are kept in
    folder/unfinished. Raises Paused after two hours with runs left, StudyError if a run fails; on
    KeyboardInterrupt every run saves itself first.
    """
    for part in ("runs", "unfinished"):
        try:
            (folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"{folder}: cannot be made a folder ({error.strerror}); choose another with -o"
            ) from error
    waiting = list(recipes.values())
    end = time.monotonic() + CHUNK
    with workers() as running:
        while running or waiting:
            while waiting and len(running) < jobs:
                running.append(start(waiting.pop(0), folder))
            connection.wait([p.sentinel for p in running], max(0.0, end - time.monotonic()))
            for process in [p for p in running if p.exitcode is not None]:
                running.remove(process)
                if process.exitcode != 0:
                    raise StudyError(
                        f"{folder}: the run {process.name} failed (see above); "
                        "mend its cause and call the study again: finished runs are kept"
                    )
                done(len(recipes) - len(waiting) - len(running), len(recipes))
            if time.monotonic() > end and (running or waiting):
                left = len(running) + len(waiting)
                raise Paused(
                    f"{folder}: two hours are over and {left} runs are left; "
                    "call the same study again to go on"
                )


def start(recipe: Recipe, folder: Path) -> SpawnProcess:
    """A process that carries out the run."""
    process = get_context("spawn").Process(
        target=_work, args=(recipe, folder / "unfinished", folder / "runs"), name=recipe.name
    )
    process.start()
    return process


@contextmanager
def workers() -> Iterator[list[SpawnProcess]]:
    """A list for running processes; whatever happens, they save and end before it is left."""
    running: list[SpawnProcess] = []
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join()


def _work(recipe: Recipe, unfinished: Path, records: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us in order
    os.nice(NICER)
    try:
        work.carry_out(recipe, unfinished, records)
    except fit.Stopped:
        sys.exit(130)
    except LimnerError as error:
        print(f"limner: {recipe.name}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
