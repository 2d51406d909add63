"""`limner segment`: what goes in, what comes out, and what is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

RUN = Callable[..., Any]
Make = Callable[..., str]  # the fixture `segmenting`


def test_one_photo_becomes_an_overlay_and_a_mask(
    limner: RUN, segmenting: Make, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "parts"
    outcome = limner("segment", photo, "-o", out, "--model", segmenting())
    assert outcome.code == 0
    assert outcome.out == f"{out / 'old.overlay.png'}\n{out / 'old.mask.png'}\n"
    assert outcome.err.startswith("limner: 1 of 1 pictures segmented in ")
    assert sorted(p.name for p in out.iterdir()) == ["old.mask.png", "old.overlay.png"]
    with Image.open(out / "old.mask.png") as mask:
        assert (mask.mode, mask.size) == ("P", (40, 30))
    with Image.open(out / "old.overlay.png") as overlay:
        assert overlay.mode == "RGB"
        assert overlay.height > 30  # the legend


def test_json_is_one_document_alone(
    limner: RUN, segmenting: Make, photo: Path, tmp_path: Path
) -> None:
    (photo.parent / "torn.jpg").write_bytes(photo.read_bytes()[:200])
    model, out = segmenting(), tmp_path / "out"
    outcome = limner("segment", photo.parent, "-o", out, "--model", model, "--json")
    assert outcome.code == 1
    document = json.loads(outcome.out)
    assert list(document) == ["model", "pictures"]
    assert document["model"] == model
    good, torn = document["pictures"]
    keys = ["input", "overlay", "mask", "width", "height", "seconds", "classes", "error"]
    assert list(good) == list(torn) == keys
    assert (good["input"], good["mask"]) == (str(photo), str(out / "old.mask.png"))
    assert (good["width"], good["height"], good["error"]) == (40, 30, None)
    assert sum(good["classes"].values()) == pytest.approx(1, abs=1e-3)
    assert set(good["classes"]) <= {"background", "cat", "dog", "cow"}
    assert [torn[key] for key in ("overlay", "mask", "width", "classes")] == [None] * 4
    assert f"limner: {torn['error']}\n" in outcome.err


def test_folders_in_folders_keep_their_structure(
    limner: RUN, segmenting: Make, photo: Path, tmp_path: Path
) -> None:
    inner = photo.parent / "1942" / photo.name
    inner.parent.mkdir()
    inner.write_bytes(photo.read_bytes())
    out = tmp_path / "out"
    options = ("-o", out, "--model", segmenting(), "--recursive")
    assert limner("segment", photo.parent, *options).code == 0
    found = {str(path.relative_to(out)) for path in out.rglob("*.mask.png")}
    assert found == {"old.mask.png", "1942/old.mask.png"}


def test_nothing_is_overwritten_unasked(
    limner: RUN, segmenting: Make, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.mask.png").write_text("kept")
    call = ("segment", photo, "-o", out, "--model", segmenting())
    outcome = limner(*call)
    assert (outcome.code, outcome.out) == (1, "")
    assert "--overwrite" in outcome.err
    assert [path.read_text() for path in out.iterdir()] == ["kept"]
    assert limner(*call, "--overwrite").code == 0


def test_a_picture_that_fails_is_exit_1(
    limner: RUN, segmenting: Make, photo: Path, tmp_path: Path
) -> None:
    model = ("--model", segmenting())
    outcome = limner("segment", photo, "-o", tmp_path / "out", *model, "--max-pixels", 1199)
    assert (outcome.code, outcome.out) == (1, "")
    assert "--max-pixels" in outcome.err
    outcome = limner("segment", tmp_path / "gone.jpg", photo, "-o", tmp_path / "out", *model)
    assert outcome.code == 1
    assert outcome.out.count("\n") == 2  # the other one's two files
    assert "gone.jpg: no such file" in outcome.err.splitlines()[0]


def test_what_spoils_the_call_is_exit_2_before_any_work(
    limner: RUN, segmenting: Make, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    model = ("--model", segmenting())
    for arguments in (
        (photo, "-o", photo.parent),
        (tmp_path / "empty", "-o", tmp_path / "out"),
        (photo, photo, "-o", tmp_path / "out"),
        (photo, "-o", tmp_path / "file"),
        (photo, "-o", tmp_path / "new.png"),
        (photo, "-o", tmp_path / "file" / "out"),
    ):
        outcome = limner("segment", *arguments, *model)
        assert (outcome.code, outcome.out) == (2, ""), arguments
        assert outcome.err.count("\n") == 1, arguments
    assert not (tmp_path / "out").exists()


def test_a_model_of_the_other_task_is_one_line_either_way(
    limner: RUN, segmenting: Make, photo: Path, tmp_path: Path
) -> None:
    for call, says in (
        (("segment", photo, "--model", "photo"), "photo: a model to colorize"),
        (("colorize", photo, "--model", segmenting()), "nearest: a model to segment"),
    ):
        outcome = limner(*call, "-o", tmp_path / "out")
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert says in outcome.err
    assert not (tmp_path / "out").exists()


def test_the_default_model_is_asked_for_by_its_name(
    limner: RUN, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limner.weights.names", lambda: ("photo",))
    outcome = limner("segment", photo, "-o", tmp_path / "out")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert outcome.err.startswith("limner: voc: neither a model's file nor a model's name")
