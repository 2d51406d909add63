"""A fresh copy of the checkout colors the samples with one command; the wheel is whole.

Needs the network: python -m pytest -m network
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOOR_LIMIT = 400_000_000  # bytes of .venv on disk


def disk_usage(folder: Path) -> int:
    """Bytes that the files under `folder` take on disk, each counted once (like du)."""
    blocks = {}
    for file in folder.rglob("*"):
        status = file.lstat()
        blocks[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(blocks.values())


def make(target: str, clone: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    run = subprocess.run(
        ["make", target], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.network
def test_make_colorize_in_a_temporary_clone(tmp_path: Path) -> None:
    clone = tmp_path / "limner"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    assert "colorized/" in make("colorize", clone)

    samples = {file.name for file in (clone / "examples/photographs").glob("*.jpg")}
    assert samples
    assert samples == {file.name for file in (clone / "colorized").glob("*.jpg")}

    packages = next((clone / ".venv/lib").glob("python*/site-packages"))
    assert not (packages / "torch").exists()
    assert not (packages / "PIL").exists()
    assert disk_usage(clone / ".venv") < FLOOR_LIMIT

    before = (clone / "colorized/.done").stat().st_mtime_ns
    make("colorize", clone)
    assert (clone / "colorized/.done").stat().st_mtime_ns == before  # nothing was done again
    shutil.rmtree(clone)


@pytest.mark.network
def test_the_wheel_carries_the_weights_and_their_terms(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(ROOT)]
    subprocess.run([*build, "--wheel-dir", str(tmp_path)], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("limner-*.whl"))) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(n for n in names if n.endswith("METADATA"))).decode()
    committed = {f"limner/weights/{file.name}" for file in (ROOT / "limner/weights").glob("*.*")}
    assert committed <= set(names)
    assert [name for name in names if name.endswith("weights/LICENSE") and ".dist-info" in name]
    assert "License-Expression: Apache-2.0 AND LicenseRef-limner-weights" in metadata
    assert "limner/weights/LICENSE" in metadata.split("\n\n")[0]
