"""`limner data check`: what it prints, and the code it leaves with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.palette import Palette

RUN = Callable[..., Any]


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set `pets` under LIMNER_DATA: one pair of 8 x 5 pixels in train."""
    monkeypatch.setenv("LIMNER_DATA", str(tmp_path))
    folder = tmp_path / "pets"
    (folder / "train").mkdir(parents=True)
    (folder / "classes.txt").write_text("none\ncat\nfish\n")
    mask = np.zeros((5, 8), np.uint8)
    mask[0] = 1
    mask[1, :2] = 255
    Image.fromarray(mask).save(folder / "train" / "a.png")
    Image.new("RGB", (8, 5)).save(folder / "train" / "a.jpg")
    return folder


def test_a_sound_set_is_a_table(limner: RUN, pets: Path) -> None:
    outcome = limner("data", "check", "pets")
    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert rows == [
        ["class", "pictures", "of", "pixels"],
        ["none", "1", "75.00", "%"],
        ["cat", "1", "20.00", "%"],
        ["fish", "0", "0.00", "%"],
        ["(ignored)", "-", "5.00", "%"],
    ]
    assert outcome.err == "limner: pets, train: 1 sound pairs, 0 problems\n"


def test_problems_come_first_file_by_file_and_the_code_is_1(limner: RUN, pets: Path) -> None:
    Image.new("RGB", (8, 5)).save(pets / "train" / "b.jpg")
    Image.new("L", (9, 5)).save(pets / "train" / "c.png")
    Image.new("RGB", (8, 5)).save(pets / "train" / "c.jpg")
    outcome = limner("data", "check", pets)
    assert outcome.code == 1
    first, second, head = outcome.out.splitlines()[:3]
    assert first.startswith(f"{pets / 'train' / 'b.png'}: missing")
    assert second.startswith(f"{pets / 'train' / 'c.png'}: 9 x 5 pixels")
    assert head.startswith("class")
    assert "1 sound pairs, 2 problems" in outcome.err


def test_json_is_one_document(limner: RUN, pets: Path) -> None:
    outcome = limner("data", "check", "pets", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == {
        "data": "pets",
        "split": "train",
        "pairs": 1,
        "classes": {
            "none": {"pictures": 1, "pixels": 30, "share": 0.75},
            "cat": {"pictures": 1, "pixels": 8, "share": 0.2},
            "fish": {"pictures": 0, "pixels": 0, "share": 0.0},
        },
        "ignored": 0.05,
        "problems": [],
    }
    (pets / "train" / "a.png").unlink()
    outcome = limner("data", "check", "pets", "--json")
    assert outcome.code == 1
    document = json.loads(outcome.out)
    assert (document["pairs"], len(document["problems"])) == (0, 1)
    assert document["classes"]["none"]["share"] == 0  # of no pixels


def test_a_folder_without_splits_is_read_whole(limner: RUN, pets: Path) -> None:
    (pets / "train").rename(pets / "images")
    (pets / "masks").mkdir()
    (pets / "images" / "a.png").rename(pets / "masks" / "a.png")
    outcome = limner("data", "check", pets, "--split", "val")
    assert outcome.code == 0
    assert "whole: 1 sound pairs" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pets", "--split", "val"], "no split 'val'; it has train"),
        (["cats"], "cats: no folder of that name"),
    ],
)
def test_a_set_that_is_not_there_is_one_line(
    limner: RUN, pets: Path, arguments: list[str], says: str
) -> None:
    outcome = limner("data", "check", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no classes.txt"), ("", "0 classes"), ("a 0 0 0\nb", "'b'")]
)
def test_labels_that_are_wrong_are_one_line(
    limner: RUN, pets: Path, content: str | None, says: str
) -> None:
    (pets / "classes.txt").unlink()
    if content is not None:
        (pets / "classes.txt").write_text(content)
    outcome = limner("data", "check", "pets")
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_photographs_are_labelled_by_a_model(
    limner: RUN, tmp_path: Path, labels: Palette, segmenting: Callable[..., str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    half = np.repeat(labels.swatches()[[0, 1]], 8, axis=0)[None].repeat(16, axis=0)
    Image.fromarray(half).save(photos / "a.png")
    call = ("data", "label", photos, "-o", tmp_path / "set", "--model", segmenting())
    outcome = limner(*call)
    assert (outcome.code, outcome.out.split()) == (
        0,
        ["class", "pictures", "asked", "background", "1", "0.80", "cat", "1", "0.80",
         "dog", "0", "0.80", "cow", "0", "0.80"],
    )  # fmt: skip
    assert outcome.err.startswith(f"limner: {tmp_path / 'set'}: 1 of 1 pictures, with masks by ")
    assert limner("data", "check", tmp_path / "set").code == 0
    again = limner(*call)
    assert (again.code, again.out) == (2, "")
    assert "holds something already" in again.err
    (photos / "b.png").write_bytes(b"no picture")
    twice = ("--model", call[-1], "--model", call[-1])
    document = limner("data", "label", photos, "-o", tmp_path / "more", *twice, "--json")
    assert document.code == 1
    told = json.loads(document.out)
    assert told["models"] == [call[-1]] * 2
    assert told["classes"]["cat"] == {"pictures": 1, "sure": 0.8}
    assert told["classes"]["dog"] == {"pictures": 0, "sure": 0.8}
    assert len(told["problems"]) == 1
