"""The runs of a study: those that are missing, several side by side, each once and for all."""

import fcntl
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from limner.errors import LimnerError, StudyError
from limner.learn import fit, machine
from limner.learn.loading.sources import Sources, gather
from limner.learn.run import assemble, build
from limner.recipe import Recipe
from limner.studies import work
from limner.studies.catalog import FOLDER
from limner.studies.record import Record, find_record, key
from limner.studies.study import Arms, Records

CHUNK = 7200.0  # seconds that one sitting lasts at most; the rest is done when it is called again
STEPS = 2  # of a network after its first one, to estimate how long it takes
SAMPLE = 100  # pictures of such a step
START = 6.0  # seconds, about: a process begins, reads its pictures, scores at the end
FORWARD = 1 / 3  # of a training step: what it costs to validate as many pictures
NICER = 10

Done = Callable[[int, int], None]


class Paused(LimnerError):
    """A sitting's time is over, and runs are left; what is done is kept."""

    exit_code = 1


class RunsFailed(StudyError):
    """Some runs failed, each with its own line; the others are done and kept."""

    exit_code = 1


def make(folder: Path) -> None:
    """Make the study's folder, if it is not there. Raises StudyError."""
    for part in ("runs", "unfinished"):
        try:
            (folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"{folder}: cannot be made a folder ({error.strerror}); choose another with -o"
            ) from error


def places(folder: Path) -> list[Path]:
    """Where finished records may lie: the study's own folder, its neighbors', the usual ones."""
    return [folder / "runs", *sorted(folder.parent.glob("*/runs")), *sorted(FOLDER.glob("*/runs"))]


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


def estimate(recipes: Iterable[Recipe], jobs: int) -> float:
    """Seconds that the runs will take, from a few steps of each network on one thread.

    Raises DataError if a set is not there, or has less pictures than a recipe asks for.
    """
    machine.keep_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    rates: dict[object, float] = {}
    total = 0.0
    for recipe, count in Counter(replace(r, name="", seed=0) for r in recipes).items():
        sources = gather(recipe, None)
        kind = (recipe.network, str(recipe.network_arguments()), len(sources.palette))
        if kind not in rates:
            rates[kind] = seconds_a_picture(recipe, sources)
        pictures = (recipe.steps or recipe.epochs * sources.per_epoch) * recipe.batch
        validated = (recipe.epochs or 1) * sum(map(len, sources.held))
        total += count * (START + (pictures + FORWARD * validated) * rates[kind])
    torch.set_num_threads(before)
    return total / jobs


def seconds_a_picture(recipe: Recipe, sources: Sources) -> float:
    """Seconds of training a picture of the recipe, from the fastest of a few steps."""
    network = build(recipe, sources.palette, pretrained=False)
    device = machine.choose_device("auto")  # as the run itself
    run = assemble(Path(), recipe, sources, network, "fp32", device)
    inputs, classes = next(sources.validation(recipe, network.stride))
    seconds = []
    for _ in range(1 + STEPS):
        begin = time.perf_counter()
        fit.learn(run, (inputs[:SAMPLE], classes[:SAMPLE]))
        seconds.append(time.perf_counter() - begin)
    return min(seconds) / len(inputs[:SAMPLE])


def carry_out(recipes: dict[str, Recipe], folder: Path, done: Done, jobs: int) -> None:
    """Do the runs, `jobs` side by side, each in its own process with one thread, niced.

    `done(finished, all)` is told of each. Records go to folder/runs, unfinished runs are kept in
    folder/unfinished. A run that fails says so in its own line, and the others go on; RunsFailed is
    raised at the end. Raises Paused after two hours with runs left; then, and on KeyboardInterrupt,
    every run saves itself first.
    """
    make(folder)
    waiting = list(recipes.values())
    failed = []
    end = time.monotonic() + CHUNK
    with workers() as running:
        while running or waiting:
            while waiting and len(running) < jobs:
                running.append(start(waiting.pop(0), folder))
            connection.wait([p.sentinel for p in running], max(0.0, end - time.monotonic()))
            for process in [p for p in running if p.exitcode is not None]:
                running.remove(process)
                if process.exitcode != 0:
                    failed.append(f"{process.name}: exit code {process.exitcode}")
                done(len(recipes) - len(waiting) - len(running), len(recipes))
            if time.monotonic() > end and (running or waiting):
                left = len(running) + len(waiting)
                raise Paused(
                    f"{folder}: two hours are over and {left} runs are left; "
                    "call the same study again to go on"
                )
    if failed:
        raise RunsFailed(
            f"{folder}: {len(failed)} of {len(recipes)} runs failed ({'; '.join(failed)}; their "
            "own lines stand above); mend the cause and call the study again: the others are kept"
        )


def start(recipe: Recipe, folder: Path) -> SpawnProcess:
    """A process that carries out the run; Ctrl-C is not for it, and it is ended when we leave."""
    process = get_context("spawn").Process(
        target=_work,
        args=(recipe, folder / "unfinished", folder / "runs"),
        name=f"{recipe.name}, seed {recipe.seed}",
        daemon=True,
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it inherits that
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
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
    os.nice(NICER)
    try:
        name = key(recipe)
        with alone(unfinished / f"{name}.lock"):
            if find_record([records], name) is None:
                work.carry_out(recipe, unfinished, records)
    except fit.Stopped:
        sys.exit(130)
    except LimnerError as error:
        print(f"limner: {recipe.name}, seed {recipe.seed}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold the file's lock, and wait for it while another process holds it.

    The operating system takes it back from a process that ends, however it ends. The file goes
    when the work within is done: who waited for it looks for the record first and finds it.
    """
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
        lock.unlink(missing_ok=True)
