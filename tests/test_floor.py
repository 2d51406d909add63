"""Coloring and scoring load neither torch nor Pillow, and segmenting no torch, wherever those are
installed. Pillow belongs to the floor for masks alone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = ("torch", "PIL")


def loaded(code: str) -> set[str]:
    """Which of the heavy packages a fresh Python has loaded after it ran `code`."""
    script = f"{code}\nimport sys\nprint('loaded:', *(m for m in {HEAVY!r} if m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.splitlines()[-1].removeprefix("loaded:").split())


@pytest.mark.parametrize(
    "module",
    [
        "limner",
        "limner.paint.painter",
        "limner.evaluate",
        "limner.batch.plan",
        "limner.batch.run",
        "limner.cli",
        "limner.weights",
    ],
)
def test_importing_loads_neither_torch_nor_pillow(module: str) -> None:
    assert loaded(f"import {module}") == set()


def test_the_public_names_load_neither() -> None:
    assert loaded("import limner\nlimner.Painter, limner.Painting, limner.Palette") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["colorize", "--help"]])
def test_the_command_line_loads_neither(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom limner.cli import main\n"
        f"sys.argv = ['limner', *{arguments!r}]\n"
        "try:\n    code = main()\nexcept SystemExit as done:\n    code = done.code\n"
        "assert not code, code"
    )
    assert loaded(code) == set()


def test_onnx_runtime_reports_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """Without a word to it, it keeps a number of the machine and a store of reports to upload."""
    code = "import limner; limner.Painter('photo')"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    quiet = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")
    # Continuous integration is quiet anyway: its variables would hide what a user meets.
    hidden = (*quiet, "CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    subprocess.run([sys.executable, "-c", code], env={**kept, **home}, check=True, timeout=120)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_painting_loads_neither() -> None:
    code = (
        "import numpy, limner\n"
        "painting = limner.Painter('photo').colorize(numpy.zeros((40, 30), numpy.uint8))\n"
        "assert painting.array.shape == (40, 30, 3)"
    )
    assert loaded(code) == set()


def test_segmenting_loads_pillow_and_no_torch(segmenting: Callable[..., str]) -> None:
    code = (
        "import numpy, limner\n"
        f"segmenter = limner.Segmenter({segmenting()!r})\n"
        "assert segmenter.segment(numpy.zeros((40, 30), numpy.uint8)).mask.shape == (40, 30)"
    )
    assert loaded(code) == {"PIL"}


def test_the_floor_test_can_fail() -> None:
    assert loaded("import limner.learn.fit") == {"torch", "PIL"}
