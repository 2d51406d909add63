"""The whole line through the command line: recipe, run, model file, scores, a photograph."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SAMPLES = Path(__file__).parents[1] / "data"
RECIPE = """
name = "tiny"
network = "unet"
k = 3
NF = 2
data = "cifar10:horse"
palette = "horse24"
batch = 8
steps = 4
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMNER_DATA", str(SAMPLES))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_from_a_recipe_to_a_colored_photograph(
    limner: Callable[..., Any], recipe: Path, tmp_path: Path
) -> None:
    run, model, out = tmp_path / "run", tmp_path / "tiny.onnx", tmp_path / "out"
    options = ("--precision", "fp32", "--device", "cpu")
    assert limner("train", recipe, "-o", run, *options).code == 0
    assert limner("train", run).code == 0
    again = limner("train", recipe, "-o", run, *options)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert limner("export", run, "-o", model).code == 0
    again = limner("export", run, "-o", model)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert limner("train", recipe, "-o", tmp_path / "more", "--from", model, *options).code == 0

    scored = json.loads(limner("evaluate", model, "--data", "cifar10:horse", "--json").out)
    assert list(scored) == ["model", "task", "data", "split", "n", "protocol", "rows"]
    assert {"ours", "lookup", "truth"} <= set(scored["rows"])

    photos = SAMPLES / "sample" / "val"
    outcome = limner("colorize", photos, "-o", out, "--model", model, "--compare", "--json")
    assert outcome.code == 0
    for picture in json.loads(outcome.out)["pictures"]:
        with Image.open(picture["input"]) as before, Image.open(picture["output"]) as after:
            assert before.size == after.size == (picture["width"], picture["height"])
            assert before.format == after.format
        assert 0 <= picture["certainty"] <= 1
    assert len(limner("palette", "show", model).out.splitlines()) == 24


def test_sigterm_saves_a_training_and_leaves_with_130(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "limner", "train", str(recipe), "-o", str(run)]
    options = ["--set", "steps=1000000", "--precision", "fp32", "--device", "cpu"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "of 1,000,000" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert f"go on with: limner train {run}" in err.splitlines()[-1]
    assert not [name for name in os.listdir(run) if name.startswith(".")]
