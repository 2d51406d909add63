"""`limner colorize`: what goes in, what comes out, and what is wrong with it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

RUN = Callable[..., Any]


def test_one_photo_into_a_folder(limner: RUN, painter: Any, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "colorized"
    outcome = limner("colorize", photo, "-o", out)
    assert (outcome.code, outcome.out) == (0, f"{out / 'old.jpg'}\n")
    with Image.open(out / "old.jpg") as result:
        assert (result.format, result.size, result.mode) == ("JPEG", (40, 30), "RGB")


def test_one_photo_into_a_file_of_another_format(
    limner: RUN, painter: Any, photo: Path, tmp_path: Path
) -> None:
    assert limner("colorize", photo, "-o", tmp_path / "grandmother.png").code == 0
    with Image.open(tmp_path / "grandmother.png") as result:
        assert result.format == "PNG"


def test_json_is_one_document(limner: RUN, painter: Any, photo: Path, tmp_path: Path) -> None:
    (photo.parent / "torn.jpg").write_bytes(photo.read_bytes()[:200])
    outcome = limner("colorize", photo.parent, "-o", tmp_path / "out", "--json")
    assert outcome.code == 1
    document = json.loads(outcome.out)
    assert set(document) == {"model", "pictures"}
    assert document["model"] == "photo"
    good, torn = document["pictures"]
    assert list(good) == ["input", "output", "width", "height", "seconds", "certainty", "error"]
    assert list(torn) == list(good)
    assert (good["input"], good["output"]) == (str(photo), str(tmp_path / "out" / "old.jpg"))
    assert (good["width"], good["height"], good["certainty"]) == (40, 30, 0.25)
    assert good["error"] is None
    assert (torn["output"], torn["width"], torn["certainty"]) == (None, None, None)
    assert "torn.jpg" in torn["error"]
    assert f"limner: {torn['error']}\n" in outcome.err


def test_options_reach_the_painter(limner: RUN, painter: Any, photo: Path, tmp_path: Path) -> None:
    options = "--model m.onnx --size 256 --temperature 0.5 --saturation 1.5 --device cpu"
    limner("colorize", photo, "-o", tmp_path / "out", *options.split(), "--max-pixels", 5000)
    assert painter.made == [
        {
            "model": "m.onnx",
            "size": 256,
            "temperature": 0.5,
            "saturation": 1.5,
            "device": "cpu",
            "max_pixels": 5000,
        }
    ]


def test_nothing_is_overwritten_unasked(
    limner: RUN, painter: Any, photo: Path, tmp_path: Path
) -> None:
    (photo.parent / "second.jpg").write_bytes(photo.read_bytes())
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.jpg").write_text("kept")
    first = limner("colorize", photo.parent, "-o", out)
    assert (first.code, first.out) == (1, f"{out / 'second.jpg'}\n")
    assert "--overwrite" in first.err
    assert (out / "old.jpg").read_text() == "kept"
    assert limner("colorize", photo.parent, "-o", out, "--overwrite").code == 0
    assert (out / "old.jpg").read_bytes().startswith(b"\xff\xd8")


def test_certainty_and_compare_lie_beside(
    limner: RUN, painter: Any, photo: Path, tmp_path: Path
) -> None:
    outcome = limner("colorize", photo, "-o", tmp_path / "out", "--certainty", "--compare")
    assert outcome.code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["old.certainty.png", "old.compare.png", "old.jpg"]


def test_colors_that_are_ignored_are_said_once(limner: RUN, painter: Any, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    outcome = limner("colorize", tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out")
    assert outcome.code == 0
    assert outcome.err.count("(said once)") == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"hello", "not a picture"),
        (b"\xff\xd8\xff\xe0", "cut short or damaged"),
    ],
)
def test_a_single_bad_picture_is_exit_1(
    content: bytes | None, says: str, limner: RUN, painter: Any, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    if content is not None:
        bad.write_bytes(content)
    outcome = limner("colorize", bad, "-o", tmp_path / "out")
    assert (outcome.code, outcome.out) == (1, "")
    assert says in outcome.err.splitlines()[0]


def test_the_pixel_limit(limner: RUN, painter: Any, photo: Path, tmp_path: Path) -> None:
    outcome = limner("colorize", photo, "-o", tmp_path / "out", "--max-pixels", 1199)
    assert outcome.code == 1
    assert "--max-pixels" in outcome.err
    assert limner("colorize", photo, "-o", tmp_path / "out", "--max-pixels", 1200).code == 0


def test_what_spoils_the_call_is_exit_2_before_any_work(
    limner: RUN, painter: Any, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for arguments in (
        (photo, "-o", photo.parent),
        (tmp_path / "empty", "-o", tmp_path / "out"),
        (photo, photo, "-o", tmp_path / "out"),
        (photo, "-o", tmp_path / "file" / "out"),
        (photo, "-o", tmp_path / "x.bmp"),
    ):
        outcome = limner("colorize", *arguments)
        assert (outcome.code, outcome.out) == (2, ""), arguments
        assert outcome.err.count("\n") == 1, arguments
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_no_text(painter: Any, photo: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"gr\xfcn.jpg")
    (photo.parent / odd).write_bytes(photo.read_bytes())
    code = SLOW.format(tests=os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-c", code, str(photo.parent / odd), "-o", str(tmp_path / "out")],
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.endswith(b"gr\xfcn.jpg\n")
    assert (tmp_path / "out" / odd).exists()


SLOW = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import conftest
from types import ModuleType

class Slow(conftest.FakePainting):
    def strips(self):
        for count, strip in enumerate(super().strips()):
            yield strip
            if self.picture.path.name == "b.png" and count == 3:
                print("half", flush=True)
                sys.stdin.readline()

class Painter(conftest.FakePainter):
    def colorize(self, path):
        return Slow(conftest.open_picture(path))

module = ModuleType("limner.paint.painter")
module.Painter = Painter
sys.modules["limner.paint.painter"] = module
from limner.cli import main
sys.exit(main(["colorize", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_whole_pictures_alone(kind: signal.Signals, tmp_path: Path) -> None:
    photos = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    for path in photos:
        Image.fromarray(np.zeros((4000, 500), np.uint8)).save(path)
    out = tmp_path / "out"
    code = SLOW.format(tests=os.path.dirname(__file__))
    with subprocess.Popen(
        [sys.executable, "-c", code, *photos, "-o", str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "half\n":
            assert process.poll() is None, process.communicate()
        assert {path.suffix for path in out.iterdir()} == {".png", ".part"}
        process.send_signal(kind)
        _, err = process.communicate("go on\n", timeout=60)
    assert (process.returncode, err) == (130, "limner: stopped\n")
    assert [path.name for path in out.iterdir()] == ["a.png"]
    with Image.open(out / "a.png") as whole:
        whole.load()
