"""An answer's files say what the answer says, and the same answer makes the same files."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from limner.studies import record, writing
from limner.studies.study import Records, Setting, Study, Table

Example = tuple[Study, Setting, Records]
FILES = {
    "result.json", "README.md", "scores.md", "scores.csv", "loss-curves.png", "loss-curves.svg",
}  # fmt: skip


def write(example: Example) -> Path:
    study, setting, records = example
    writing.write(study, setting, records, study.answer(setting, records))
    return setting.folder


def test_the_files_are_these(example: Example) -> None:
    folder = write(example)
    assert {path.name for path in folder.iterdir()} == FILES | {"runs"}
    with Image.open(folder / "loss-curves.png") as picture:
        picture.verify()
    assert (folder / "loss-curves.svg").read_text().startswith("<?xml")


def test_the_result_gives_the_answer_back(example: Example) -> None:
    study, setting, records = example
    document = json.loads((write(example) / "result.json").read_text())
    answer = study.answer(setting, records)
    assert document["verdict"] == answer.verdict
    assert document["facts"] == answer.facts
    assert document["figures"] == list(answer.figures)
    (table,) = document["tables"].values()
    rows = [tuple(row) for row in table["rows"]]
    assert (
        Table(table["title"], tuple(table["header"]), rows, table["note"])
        == answer.tables["scores"]
    )
    assert (document["study"], document["title"]) == (study.name, study.title)
    assert document["questions"] == ["A2", "B3"]
    assert (document["quick"], document["data"]) == (False, "cifar10")
    keys = {name: [run["key"] for run in runs] for name, runs in records.items()}
    assert document["runs"] == keys
    assert {"machine", "commit", "limner", "torch"} <= set(document)


def test_the_tables_say_the_same_in_both_formats(example: Example) -> None:
    folder = write(example)
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["", "seeds", "loss"], ["unet", "3", "1.5"], ["cnn <b>&", "2", "1.5"]]
    lines = (folder / "scores.md").read_text().splitlines()
    assert lines[0] == "Scores, of 2"
    assert lines[-1] == "A note < 3."
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:6]]
    assert [cells[0], *cells[2:]] == rows
    assert set(cells[1]) == {"---"}


def test_the_page_shows_verdict_tables_and_figures(example: Example) -> None:
    study, setting, records = example
    folder = write(example)
    page = (folder / "README.md").read_text()
    assert page.startswith(f"# {study.title}\n")
    for line in study.answer(setting, records).verdict:
        assert line in page
    assert writing.markdown(study.answer(setting, records).tables["scores"]) in page
    assert "![loss-curves](loss-curves.png)" in page
    assert (folder / "loss-curves.png").is_file()


def test_pictures_of_the_data_set_are_named_and_not_shown(example: Example) -> None:
    """The page is committed, they are not: each is ignored by git."""
    study, setting, records = example
    answer = study.answer(setting, records)
    names = ("pictures", "pictures-equal-epochs")
    drawn = next(iter(answer.figures.values()))
    shown = replace(answer, figures={**answer.figures, **dict.fromkeys(names, drawn)})
    page = writing.page(study, setting, shown)
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
    assert f"/studies/*/{writing.PICTURES}*" in ignored
    for name in names:
        assert f"`{name}.png`" in page and f"({name}.png)" not in page
    assert "(loss-curves.png)" in page


def test_the_command_gives_the_answer_again(example: Example) -> None:
    study, setting, _ = example
    assert writing.command(study, setting) == "limner study palette"
    quick = replace(setting, quick=True, data="pictures/mine")
    assert writing.command(study, quick) == "limner study palette --quick --data pictures/mine"


def test_the_same_answer_makes_the_same_files(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "commit", lambda: "0123456789")  # somebody may commit meanwhile
    folder = write(example)
    before = {name: (folder / name).read_bytes() for name in FILES}
    write(example)
    assert {name: (folder / name).read_bytes() for name in FILES} == before
