"""Runs side by side: in order, each once, kept whatever happens to the others."""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from pathlib import Path

import pytest

from limner.errors import DataError, StudyError
from limner.recipe import Recipe
from limner.studies import runner, work
from limner.studies.record import Record, key, read
from limner.studies.study import WRITEUP, Arms, seeded

TINY = replace(WRITEUP, name="tiny", network="cnn", NF=2, batch=8, epochs=0, steps=2)
ARMS: Arms = {"a": seeded(TINY, 3), "b": seeded(replace(TINY, name="wide", NF=3), 1)}


class FakeProcess:
    """A process that ends as soon as it is waited for, or (exitcode None) only when it must."""

    def __init__(self, recipe: Recipe, exitcode: int | None) -> None:
        self.recipe, self.code, self.ended = recipe, exitcode, False
        self.name = f"{recipe.name}, seed {recipe.seed}"
        self.sentinel, self.writer = os.pipe()
        if exitcode is not None:
            os.close(self.writer)

    @property
    def exitcode(self) -> int | None:
        return 130 if self.ended else self.code

    def terminate(self) -> None:
        self.ended = True

    def join(self) -> None:
        assert self.ended


@dataclass
class Started:
    """What `runner.start` started; a run that `codes` names ends with its code, others with 0."""

    processes: list[FakeProcess] = field(default_factory=list)
    codes: dict[tuple[str, int], int | None] = field(default_factory=dict)

    def start(self, recipe: Recipe, folder: Path) -> FakeProcess:
        self.processes.append(FakeProcess(recipe, self.codes.get((recipe.name, recipe.seed), 0)))
        return self.processes[-1]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    fake = Started()
    monkeypatch.setattr(runner, "start", fake.start)
    yield fake
    for process in fake.processes:
        os.close(process.sentinel)


def missing(folder: Path) -> dict[str, Recipe]:
    return runner.missing(runner.in_order(ARMS), folder)


def keep(record: Record, folder: Path) -> None:
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    (folder / "runs" / f"{record['key']}.json").write_text(json.dumps(record))


def test_runs_come_seed_by_seed() -> None:
    told = [(recipe.name, recipe.seed) for recipe in runner.in_order(ARMS)]
    assert told == [("tiny", 0), ("wide", 0), ("tiny", 1), ("tiny", 2)]


def test_each_run_is_missing_once(tmp_path: Path) -> None:
    twice = {**ARMS, "the same": (replace(TINY, name="another name"),)}
    wanted = runner.missing(runner.in_order(twice), tmp_path)
    assert set(wanted) == {key(recipe) for recipe in runner.in_order(ARMS)}


def test_a_record_is_found_here_in_a_neighbor_and_where_studies_lie(
    tmp_path: Path, make_record: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "answers" / "mine"
    places = (folder, tmp_path / "answers" / "other", tmp_path / "studies" / "usual")
    for seed, place in enumerate(places):
        keep(make_record(replace(TINY, seed=seed)), place)
    assert [recipe.name for recipe in missing(folder).values()] == ["wide"]
    keep(make_record(ARMS["b"][0]), tmp_path / "elsewhere" / "far")
    with pytest.raises(StudyError, match="wide"):
        runner.collect(ARMS, folder)
    keep(make_record(ARMS["b"][0]), folder)
    assert missing(folder) == {}
    records = runner.collect(ARMS, folder)
    assert [record["settings"]["seed"] for record in records["a"]] == [0, 1, 2]
    assert [record["settings"]["NF"] for record in records["b"]] == [3]


def test_runs_are_done_side_by_side_and_told(tmp_path: Path, started: Started) -> None:
    told = []
    runner.carry_out(missing(tmp_path), tmp_path, lambda *done: told.append(done), jobs=2)
    assert [process.recipe for process in started.processes] == runner.in_order(ARMS)
    assert [total for _, total in told] == [4] * 4
    assert told[-1] == (4, 4)
    assert (tmp_path / "runs").is_dir()


def test_no_more_runs_at_a_time_than_jobs(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []
    wait = connection.wait

    def spy(sentinels: list[int], timeout: float) -> list[object]:
        waited.append(len(sentinels))
        return list(wait(sentinels, timeout))

    monkeypatch.setattr(connection, "wait", spy)
    runner.carry_out(missing(tmp_path), tmp_path, lambda *_: None, jobs=3)
    assert max(waited) == 3


def test_a_run_that_fails_is_told_and_the_others_are_done(tmp_path: Path, started: Started) -> None:
    started.codes["wide", 0], started.codes["tiny", 1] = 2, -9
    with pytest.raises(runner.RunsFailed) as caught:
        runner.carry_out(missing(tmp_path), tmp_path, lambda *_: None, jobs=1)
    assert len(started.processes) == 4
    assert "2 of 4 runs failed (wide, seed 0: exit code 2; tiny, seed 1: exit code -9" in str(
        caught.value
    )
    assert caught.value.exit_code == 1


def test_after_two_hours_the_runs_save_and_the_study_pauses(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runner.CHUNK == 2 * 60 * 60
    monkeypatch.setattr(runner, "CHUNK", 0.0)
    started.codes["tiny", 0] = started.codes["wide", 0] = None
    with pytest.raises(runner.Paused, match="4 runs are left") as caught:
        runner.carry_out(missing(tmp_path), tmp_path, lambda *_: None, jobs=2)
    assert caught.value.exit_code == 1
    assert [process.ended for process in started.processes] == [True, True]


def test_ctrl_c_lets_every_run_save(tmp_path: Path, started: Started) -> None:
    started.codes["wide", 0] = None

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.carry_out(missing(tmp_path), tmp_path, interrupt, jobs=2)
    assert [process.recipe.name for process in started.processes if process.ended] == ["wide"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot be made a folder"):
        runner.make(tmp_path / "file" / "study")


def test_a_process_leaves_the_record(tmp_path: Path) -> None:
    """A real one: Ctrl-C is not for it, and what it leaves is what this process would leave."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        runner.make(folder)
    before = signal.getsignal(signal.SIGINT)
    process = runner.start(TINY, there)
    assert signal.getsignal(signal.SIGINT) is before
    work.carry_out(TINY, here / "unfinished", here / "runs")
    process.join()
    assert process.exitcode == 0
    name = f"{key(TINY)}.json"
    ours, theirs = read(here / "runs" / name), read(there / "runs" / name)
    for name in ("seconds", "commit"):  # somebody may commit meanwhile
        del ours[name], theirs[name]
    assert ours == theirs
    assert list((there / "unfinished").iterdir()) == []


def test_a_run_that_fails_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda step: None)
    runner.make(tmp_path)
    diverging = replace(TINY, learning_rate=1e30, steps=5)
    with pytest.raises(SystemExit) as caught:
        runner._work(diverging, tmp_path / "unfinished", tmp_path / "runs")
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("limner: tiny, seed 0: step ")
    assert line.count("\n") == 1
    assert list((tmp_path / "runs").iterdir()) == []


def test_one_run_is_one_process_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"

    def free() -> bool:
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    order = []

    def wait() -> None:
        with runner.alone(lock):
            order.append("second")

    with runner.alone(lock):
        assert not free()
        second = threading.Thread(target=wait)
        second.start()
        order.append("first")
    second.join()
    assert order == ["first", "second"]
    assert not lock.exists()
    with pytest.raises(ZeroDivisionError), runner.alone(lock):
        raise ZeroDivisionError
    assert lock.exists()  # its run is not done: whoever waits takes it up
    assert free()


def test_who_waited_for_a_run_does_not_do_it_again(
    tmp_path: Path, make_record: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    monkeypatch.setattr(os, "nice", lambda step: None)
    monkeypatch.setattr(work, "carry_out", lambda recipe, *_: done.append(recipe.seed))
    runner.make(tmp_path)
    keep(make_record(TINY), tmp_path)
    for seed in (0, 1):
        runner._work(replace(TINY, seed=seed), tmp_path / "unfinished", tmp_path / "runs")
    assert done == [1]


def test_the_estimate_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def rate(recipe: Recipe, sources: object) -> float:
        measured.append(recipe.network)
        return 0.5

    monkeypatch.setattr(runner, "seconds_a_picture", rate)
    by_steps = runner.START + (2 * 8 + runner.FORWARD * 8) * 0.5  # 2 steps of 8; 8 to validate
    assert runner.estimate(runner.in_order(ARMS), 1) == pytest.approx(4 * by_steps)
    assert runner.estimate(runner.in_order(ARMS), 2) == pytest.approx(2 * by_steps)
    assert len(measured) == 4  # each of two networks, once a call
    epochs = replace(TINY, steps=0, epochs=3)  # 31 pictures: 4 steps of at most 8
    by_epochs = runner.START + (3 * 4 * 8 + runner.FORWARD * 3 * 8) * 0.5
    assert runner.estimate([epochs], 1) == pytest.approx(by_epochs)


def test_the_estimate_measures_this_machine() -> None:
    assert 0 < runner.estimate([TINY], 1) - runner.START < 60


def test_too_few_pictures_are_told_before_anything_is_run() -> None:
    with pytest.raises(DataError, match="31 pictures"):
        runner.estimate([replace(TINY, pictures=1000)], 1)
