"""`limner personalize`: what it passes on, what it prints, and what it refuses in one line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.card import Card
from limner.learn import personalize
from limner.palette import Palette

RUN = Callable[..., Any]

CARD = Card(
    name="tiny",
    task="colorize",
    network={"name": "unet", "arguments": {"k": 3, "NF": 4, "NC": 2, "NIn": 1}},
    input="light",
    working_size=32,
    stride=1,
    multiple=4,
    palette=Palette("ab", np.array([[0, 0], [10, 20]], np.float32)),
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"a model")
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for index in range(3):
        Image.new("RGB", (40, 36), (200, 90 + index, 30)).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the learning half is asked for, which is not run."""
    made: list[Any] = []

    def learn(source: Path, photos: str, output: Path, **options: Any) -> None:
        report = options.pop("report")
        report(0, 20, {"decoding": photos, "caching": "cache", "bytes": 7_000_000})
        report(0, 60, {"caching": "features.npy", "bytes": 2_000_000})
        report(50, 300, {"step": 50, "loss": 2.0})
        report(300, 300, {"step": 300, "validation": {"loss": 1.5, "accuracy": 0.5}})
        report(300, 300, None)
        made.append((source, photos, output, options))

    monkeypatch.setattr("limner.learn.personalize.personalize", learn)
    return made


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """load(task=...): let the model be CARD with these changes; no training may begin."""

    def change(**changes: Any) -> None:
        network = SimpleNamespace(last_layer="last")
        monkeypatch.setattr(personalize, "load", lambda path: (network, replace(CARD, **changes)))
        monkeypatch.setattr(
            "limner.learn.fit.fit", lambda *_, **more: pytest.fail("training began")
        )

    return change


def test_it_passes_on_and_prints_the_path_alone(
    limner: RUN, calls: list[Any], model: Path, album: Path, tmp_path: Path
) -> None:
    output = tmp_path / "mine.onnx"
    outcome = limner("personalize", model, "--with", album, "-o", output)
    assert (outcome.code, outcome.out) == (0, f"{output}\n")
    assert calls == [(model, str(album), output, {"strength": 1.0, "overwrite": False})]
    said = outcome.err.splitlines()
    assert said[0] == "limner: photographs: 7 MB in cache"
    assert "limner: features: 2 MB in features.npy" in said
    assert "limner: step 300 of 300: validation loss 1.5000, accuracy 0.5000" in said
    assert said[-1].endswith(f"limner colorize PHOTO -o DIR --model {output}")

    options = ("--strength", "0.5", "--overwrite")
    assert limner("personalize", model, "--with", album, "-o", output, *options).code == 0
    assert calls[1][3] == {"strength": 0.5, "overwrite": True}


def test_photographs_left_out_are_one_line_each_and_exit_code_1(
    limner: RUN, monkeypatch: pytest.MonkeyPatch, model: Path, album: Path, tmp_path: Path
) -> None:
    lines = ["1.png: pixels of kind RGBA", "2.jpg: not a whole picture"]

    def learn(*arguments: Any, report: Any, **options: Any) -> None:
        for line in lines:
            report(0, 3, {"left_out": line})

    monkeypatch.setattr("limner.learn.personalize.personalize", learn)
    output = tmp_path / "mine.onnx"
    outcome = limner("personalize", model, "--with", album, "-o", output)
    assert (outcome.code, outcome.out) == (1, f"{output}\n")
    assert outcome.err.splitlines()[:-1] == [f"limner: {line}" for line in lines]


def test_help_teaches(limner: RUN) -> None:
    outcome = limner("personalize", "--help")
    assert (outcome.code, outcome.err) == (0, "")
    for words in ("MODEL", "--with", "--strength", "Only its last layer learns", "Examples:"):
        assert words in outcome.out


@pytest.mark.parametrize("strength", ["1.5", "-0.1", "nan", "half"])
def test_a_strength_out_of_range_is_one_line(
    limner: RUN, calls: list[Any], model: Path, album: Path, tmp_path: Path, strength: str
) -> None:
    outcome = limner(
        "personalize", model, "--with", album, "-o", tmp_path / "x.onnx", f"--strength={strength}"
    )
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert strength in outcome.err
    assert calls == []


@pytest.mark.parametrize("missing", ["--with", "-o"])
def test_both_options_are_needed(
    limner: RUN, calls: list[Any], model: Path, album: Path, missing: str
) -> None:
    given = {"--with": str(album), "-o": "mine.onnx"}
    del given[missing]
    outcome = limner("personalize", model, *next(iter(given.items())))
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert missing in outcome.err
    assert calls == []


def test_what_will_not_do_is_one_line_and_nothing_is_written(
    limner: RUN, load: Callable[..., None], model: Path, album: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    there, new = tmp_path / "there.onnx", tmp_path / "new.onnx"
    there.write_bytes(b"mine")
    grey = tmp_path / "grey"
    grey.mkdir()
    for index in range(3):
        Image.new("L", (40, 36), 90 + index).save(grey / f"{index}.png")
    single = tmp_path / "single"
    single.mkdir()
    Image.new("RGB", (40, 36), "red").save(single / "1.png")
    pair = tmp_path / "a=b"
    pair.mkdir()
    Image.new("RGB", (40, 36), "red").save(pair / "1.png")
    Image.new("RGBA", (40, 36), "red").save(pair / "2.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, says in (
        ((tmp_path / "no.onnx", "--with", album, "-o", new), "neither a model's file nor"),
        ((model, "--with", album, "-o", there), "there.onnx: exists already"),
        ((model, "--with", album, "-o", tmp_path / "no" / "x.onnx"), "its folder does not exist"),
        ((model, "--with", tmp_path / "nowhere", "-o", new), "nowhere: no folder of that name"),
        ((model, "--with", empty, "-o", new), "empty: holds no picture"),
        ((model, "--with", single, "-o", new), "single: 1 to learn from, and 2 photographs are"),
        ((model, "--with", pair, "-o", new), "a=b: 1 to learn from, and 2 photographs are"),
        ((model, "--with", grey, "-o", new), "grey: all its photographs are grey"),
    ):
        load()
        outcome = limner("personalize", *arguments)
        *progress, error = outcome.err.splitlines()
        assert (outcome.code, outcome.out) == (2, ""), arguments
        assert says in error
        for line in progress:
            assert any(word in line for word in ("decoding", "photographs: 0 MB in", "kind RGBA"))
    load(task="segment")
    outcome = limner("personalize", model, "--with", album, "-o", new)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "a model to segment; give one that colorizes" in outcome.err
    assert there.read_bytes() == b"mine"
    assert not new.exists()


def test_it_names_the_extra_that_it_needs(
    limner: RUN, model: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limner.cli.terminal.find_spec", lambda name: None)
    outcome = limner("personalize", model, "--with", album, "-o", "mine.onnx")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "`limner personalize` needs torch" in outcome.err
