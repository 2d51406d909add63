"""`limner study` and `limner report`: runs, an answer, a page; what is there is kept."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limner.cli.study import _duration
from limner.cli.terminal import Progress
from limner.errors import StudyError
from limner.studies import answers, catalog, record, runner
from limner.studies.figures import curves
from limner.studies.study import WRITEUP, Answer, Arms, Records, Setting, Study, Table, seeded

DATA = Path(__file__).parents[1] / "data"
TINY = replace(WRITEUP, network="cnn", NF=2, batch=8, epochs=0, steps=2)


def plan(setting: Setting) -> Arms:
    """Two runs; and one of them again under another name."""
    tiny = seeded(replace(TINY, data=(setting.data,)), 2)
    return {"tiny": tiny, "the same": tiny[:1]}


def answer(setting: Setting, records: Records) -> Answer:
    losses = answers.values(records["tiny"], "loss")
    table = Table("Losses", ("seed", "loss"), list(enumerate(losses)))
    lines = {"tiny": answers.curve(records["tiny"], "validation", "loss")}
    verdict = [f"The loss is {losses[0]:.2f}.", "It is tiny."]
    return Answer(verdict, {"losses": table}, {"curve": curves(lines, "step", "loss")})


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sample data, a working folder of its own, and a small study of the name `palette`."""
    small = Study("palette", "Small", (), plan, answer)
    real = catalog.study
    monkeypatch.setattr(catalog, "study", lambda name: small if name == "palette" else real(name))
    monkeypatch.setenv("LIMNER_DATA", str(DATA))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.chdir(tmp_path)
    record.fingerprint.cache_clear()
    yield
    record.fingerprint.cache_clear()


def keep_record(folder: Path, seed: int) -> None:
    """A record of the run in the folder, as if it was done; its loss is 1.25 + seed / 4."""
    recipe = replace(TINY, data=("cifar10",), seed=seed)
    key = record.key(recipe)
    scores = {"loss": 1.25 + seed / 4, "accuracy": 0.5}
    made = {
        "format": record.FORMAT, "key": key, "settings": recipe.to_dict(),
        "palette": record.palette_of(recipe).to_json(), "steps": 2, "seconds": 1.0,
        "parameters": 100, "sets": {"cifar10": {"n": 8, "scores": scores, "classes": {}}},
        "validation": {"step": [2], "loss": [1.25 + seed / 4], "accuracy": [0.5]},
        **record.origin(),
    }  # fmt: skip
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    (folder / "runs" / f"{key}.json").write_text(json.dumps(made))


@pytest.fixture
def finished() -> Path:
    """The study's usual folder with both runs done."""
    for seed in (0, 1):
        keep_record(Path("studies/palette"), seed)
    return Path("studies/palette")


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be run."""

    def fail(*given: object) -> None:
        raise AssertionError("a run was started")

    monkeypatch.setattr(runner, "start", fail)


def test_a_study_stops_and_goes_on(
    limner: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM after the first of two runs; then the same call does the other, and only that."""
    started = []
    start = runner.start

    def spy(recipe: Any, folder: Path) -> Any:
        started.append(recipe.seed)
        return start(recipe, folder)

    def stop(progress: Progress, done: int, total: int) -> None:
        if done == 1:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(runner, "start", spy)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", stop)
        outcome = limner("study", "palette", "-o", out)
    assert (outcome.code, outcome.out) == (130, "")
    first, saved, stopped = outcome.err.splitlines()
    assert first.startswith("limner: palette: 2 runs, 0 finished; the others take about ")
    assert saved == f"limner: {out}: what is done is saved; the same call goes on"
    assert stopped == "limner: stopped"
    assert not (out / "result.json").exists()

    outcome = limner("study", "palette", "-o", out)
    assert outcome.code == 0
    assert "2 runs, 1 finished; the others" in outcome.err
    assert started == [0, 1]
    *verdict, folder = outcome.out.splitlines()
    assert verdict == json.loads((out / "result.json").read_text())["verdict"]
    assert folder == str(out)
    assert len(list((out / "runs").iterdir())) == 2
    assert list((out / "unfinished").iterdir()) == []


@pytest.mark.usefixtures("never")
def test_finished_runs_are_answered_at_once(limner: Callable[..., Any], finished: Path) -> None:
    outcome = limner("study", "palette")
    assert (outcome.code, outcome.err) == (0, "limner: palette: 2 runs, 2 finished\n")
    assert outcome.out.splitlines() == ["The loss is 1.25.", "It is tiny.", "studies/palette"]
    table = (finished / "losses.csv").read_text().split()
    assert table == ["seed,loss", "0,1.25", "1,1.5"]
    assert limner("study", "palette").code == 0  # its own answer may be replaced


@pytest.mark.usefixtures("never", "finished")
def test_json_is_the_result_alone(limner: Callable[..., Any]) -> None:
    outcome = limner("study", "palette", "--json")
    document = json.loads(outcome.out)
    assert document == json.loads(Path("studies/palette/result.json").read_text())
    assert document["verdict"] == ["The loss is 1.25.", "It is tiny."]


@pytest.mark.usefixtures("never")
def test_an_unknown_study_is_one_line_with_the_names(limner: Callable[..., Any]) -> None:
    outcome = limner("study", "colours")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    for name in catalog.NAMES:
        assert name in outcome.err


def test_the_help_lists_the_studies(limner: Callable[..., Any]) -> None:
    listed = limner("study", "--help").out.partition("Studies:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()] == list(catalog.NAMES)


def test_the_help_loads_no_torch() -> None:
    code = (
        "import sys; from limner.cli import main; main(['study', '--help'])\n"
        "from limner.studies import catalog\n"
        "assert not {'torch', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=True, capture_output=True, timeout=120
    )


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize(
    ("data", "says"),
    [("sample", "sample: "), ("nowhere", "nowhere: "), ("cifar10:zebra", "zebra")],
)
def test_bad_data_is_one_line_before_anything_is_run(
    data: str, says: str, limner: Callable[..., Any], tmp_path: Path
) -> None:
    outcome = limner("study", "palette", "--data", data)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert says in outcome.err
    assert not (tmp_path / "studies").exists()


@pytest.mark.usefixtures("never", "finished")
@pytest.mark.parametrize("file", ["README.md", "losses.csv", "curve.svg", "result.json"])
def test_foreign_files_are_not_replaced(
    file: str, limner: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "notes"
    out.mkdir()
    content = '{"study": "category"}' if file == "result.json" else "mine"
    (out / file).write_text(content)
    (out / "other.txt").write_text("mine")
    for seed in (0, 1):
        keep_record(out, seed)
    outcome = limner("study", "palette", "-o", out)
    assert (outcome.code, outcome.out) == (2, "")
    assert str(out) in outcome.err.splitlines()[-1]
    assert {path.name for path in out.iterdir() if path.is_file()} == {file, "other.txt"}
    assert (out / file).read_text() == content
    (out / file).unlink()
    assert limner("study", "palette", "-o", out).code == 0
    assert (out / "other.txt").read_text() == "mine"


@pytest.mark.usefixtures("never")
def test_an_output_that_is_a_file_is_one_line(limner: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = limner("study", "palette", "-o", tmp_path / "file")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "cannot be made a folder" in outcome.err


def test_a_sitting_that_is_over_is_1(
    limner: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause(*given: object) -> None:
        raise runner.Paused("studies/palette: two hours are over and 2 runs are left; go on")

    monkeypatch.setattr(runner, "carry_out", pause)
    outcome = limner("study", "palette")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1].endswith("two hours are over and 2 runs are left; go on")


@pytest.mark.parametrize(
    ("seconds", "told"), [(8.4, "8 s"), (89, "89 s"), (1500, "25 min"), (12_600, "3.5 h")]
)
def test_durations_as_people_say_them(seconds: float, told: str) -> None:
    assert _duration(seconds) == told


@pytest.mark.usefixtures("never", "finished")
def test_a_report_is_one_page(limner: Callable[..., Any]) -> None:
    assert limner("study", "palette").code == 0
    outcome = limner("report", "palette")
    assert (outcome.code, outcome.out, outcome.err) == (0, "report.html\n", "")
    text = Path("report.html").read_text()
    assert "The loss is 1.25." in text and "<td>1.25</td>" in text
    again = limner("report", "studies/palette")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "--overwrite" in again.err
    assert limner("report", "studies/palette", "palette", "--overwrite").code == 0
    assert Path("report.html").read_text().count("<section") == 2


@pytest.mark.usefixtures("never", "finished")
def test_a_report_of_what_is_not_there_is_one_line(limner: Callable[..., Any]) -> None:
    for wrong in ("nowhere", "category", "studies/palette"):
        outcome = limner("report", wrong)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert wrong in outcome.err
    assert limner("study", "palette").code == 0
    Path("studies/palette/curve.png").unlink()
    outcome = limner("report", "palette")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "curve.png" in outcome.err
    assert not Path("report.html").exists()


def test_a_folder_of_a_studys_name_is_meant_if_it_holds_an_answer(tmp_path: Path) -> None:
    assert catalog.folder_of("palette") == Path("studies/palette")
    Path("palette").mkdir()
    assert catalog.folder_of("palette") == Path("studies/palette")
    Path("palette/result.json").write_text("{}")
    assert catalog.folder_of("palette") == Path("palette")
    with pytest.raises(StudyError, match="no study of that name"):
        catalog.study("palettes")
