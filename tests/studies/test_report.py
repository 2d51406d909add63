"""The report: one page that holds all that it shows, whole and escaped."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from limner.errors import StudyError
from limner.studies import writing
from limner.studies.report import page
from limner.studies.study import Records, Setting, Study

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Reads a page strictly: every tag is closed in order. Keeps its text, pictures and cells."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def folder(example: tuple[Study, Setting, Records]) -> Path:
    study, setting, records = example
    writing.write(study, setting, records, study.answer(setting, records))
    return setting.folder


def test_the_page_says_what_the_answer_says(folder: Path) -> None:
    read = Reader(page([folder]))
    for words in (
        'Colors: "how many"?', "A2, B3", "B3: 1 < 2 & <i>so on</i>.", "A second line.",
        "Scores, of 2", "A note < 3.", "cnn <b>&", "limner study palette", "cifar10", "full",
        "0, 1, 2", "a processor, 2 cores, Linux", "0123456789", "112,344", "learning_rate = 0.001",
        '24 colors, rgb',
    ):  # fmt: skip
        assert words in read.text, words
    assert {"i", "b"} & set(read.tags) == set()


def test_an_arm_shows_the_settings_that_set_it_apart(folder: Path) -> None:
    text = page([folder])
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    (unet,) = [row for row in rows if "network = &quot;unet&quot;" in row]
    (cnn,) = [row for row in rows if "network = &quot;cnn&quot;" in row]
    assert "0, 1, 2" in unet and "0, 1" in cnn
    assert "batch" not in unet
    assert "batch = 100" in Reader(text).text.partition("Settings of all runs: ")[2]


def test_the_figures_are_inside(folder: Path) -> None:
    sources = [value for name, value in Reader(page([folder])).attributes if name == "src"]
    kind, _, data = sources[0].partition(",")
    assert (len(sources), kind) == (1, "data:image/png;base64")
    assert base64.b64decode(data) == (folder / "loss-curves.png").read_bytes()


def test_pictures_that_did_not_travel_are_told_of(folder: Path) -> None:
    """A fresh clone holds no picture of the data set, and its report is whole all the same."""
    answer = json.loads((folder / "result.json").read_text())
    answer["figures"].append("pictures-equal-epochs")
    (folder / "result.json").write_text(json.dumps(answer))
    read = Reader(page([folder]))
    assert "pictures-equal-epochs.png shows pictures of the data set" in read.text
    (folder / "pictures-equal-epochs.png").write_bytes(b"drawn")
    assert [name for name, _ in Reader(page([folder])).attributes].count("src") == 2


def test_nothing_is_fetched(folder: Path) -> None:
    text = page([folder])
    read = Reader(text)
    assert {"script", "link", "iframe"} & set(read.tags) == set()
    links = [value for name, value in read.attributes if name in ("href", "src")]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "url(" not in text and "@import" not in text and "://" not in text


def test_it_is_read_on_phones_on_paper_and_in_the_dark(folder: Path) -> None:
    text = page([folder])
    assert ("content", "width=device-width, initial-scale=1") in Reader(text).attributes
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    assert ("lang", "en") in Reader(text).attributes


def test_several_studies_come_in_order(folder: Path) -> None:
    text = page([folder, folder])
    read = Reader(text)
    assert [value for name, value in read.attributes if name == "href"] == [
        "#answer-0", "#answer-1",
    ]  # fmt: skip
    ids = [value for name, value in read.attributes if name == "id"]
    assert ids == ["answer-0", "answer-1"]
    assert page([folder]) == page([folder])


def test_a_study_without_runs_needs_no_settings(
    example: tuple[Study, Setting, Records],
) -> None:
    study, setting, records = example
    writing.write(study, setting, {}, study.answer(setting, records))
    assert "Settings of all runs" not in Reader(page([setting.folder])).text


def test_what_is_missing_is_one_line(
    folder: Path, example: tuple[Study, Setting, Records], tmp_path: Path
) -> None:
    _, _, records = example
    (folder / "loss-curves.png").rename(tmp_path / "away.png")
    with pytest.raises(StudyError, match=r"loss-curves\.png: the figure cannot be read"):
        page([folder])
    (tmp_path / "away.png").rename(folder / "loss-curves.png")
    run = records["unet"][1]["key"]
    (folder / "runs" / f"{run}.json").unlink()
    with pytest.raises(StudyError, match=f"the run {run} of 'unet' is missing"):
        page([folder])
    for content in ("", "[]", json.dumps({"study": "another program's"})):
        (folder / "result.json").write_text(content)
        with pytest.raises(StudyError, match=r"result\.json: no study's answer"):
            page([folder])
    with pytest.raises(StudyError, match="no study's answer"):
        page([tmp_path])


def test_an_unknown_commit_is_told(folder: Path) -> None:
    path = folder / "result.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "commit": None, "quick": True}))
    text = Reader(page([folder])).text
    assert "commit unknown" in text and "a quick look" in text
