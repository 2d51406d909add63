"""The record of a finished run: one small JSON file, found again by its settings and data."""

import base64
import hashlib
import json
import os
import platform
import subprocess
import zlib
from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import limner
from limner.dataset import find
from limner.errors import StudyError
from limner.palette import Palette
from limner.recipe import Recipe
from limner.weights import palette as embedded_palette

FORMAT = 1
Record = dict[str, Any]


def palette_of(recipe: Recipe) -> Palette:
    """The recipe's palette: an embedded one, or a file's."""
    if recipe.palette.endswith(".json"):
        return Palette.load(recipe.palette)
    return embedded_palette(recipe.palette)


def key(recipe: Recipe) -> str:
    """16 hex digits that change with any setting that changes the run, with its palette's colors
    and with its pictures; not with names, folders or the commit.

    Settings at their defaults are left out, so that a key that recipes learn later changes nothing.
    """
    defaults = {field.name: field.default for field in fields(recipe)}
    settings = {
        name: value
        for name, value in recipe.to_dict().items()
        if name not in ("name", "data", "palette") and getattr(recipe, name) != defaults[name]
    }
    settings["palette"] = palette_of(recipe).to_json()
    settings["data"] = [
        [fingerprint(spec, split) for split in (recipe.split, "val")] for spec, _ in recipe.sets()
    ]
    document = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:16]


@cache
def fingerprint(spec: str, split: str) -> str:
    """The set's fingerprint, read once a process."""
    return find(spec, split).fingerprint()


def find_record(places: Iterable[Path], key: str) -> Record | None:
    """The record of that key in the first of the folders that has it. Raises StudyError."""
    for folder in places:
        path = folder / f"{key}.json"
        if os.path.isfile(path):
            return read(path)
    return None


def read(path: Path) -> Record:
    """A record's file. Raises StudyError if it is none, or another limner's."""
    try:
        record: Record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{path}: not a whole record ({error}); remove it, and the run is done again"
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise StudyError(f"{path}: not a record of format {FORMAT}; remove it, or upgrade limner")
    return record


def pack(classes: NDArray[np.integer[Any]]) -> dict[str, Any]:
    """Classes below 256, of any shape, as text for JSON."""
    content = zlib.compress(classes.astype(np.uint8).tobytes(), 9)
    return {"shape": list(classes.shape), "zlib": base64.b64encode(content).decode()}


def unpack(document: dict[str, Any]) -> NDArray[np.uint8]:
    """What `pack` packed."""
    content = zlib.decompress(base64.b64decode(document["zlib"]))
    return np.frombuffer(content, np.uint8).reshape(document["shape"])


def origin() -> dict[str, Any]:
    """What made a record: limner, torch, the machine, and the commit of the checkout if any."""
    return {
        "limner": limner.__version__,
        "torch": torch.__version__,
        "machine": f"{processor()}, {os.cpu_count()} cores{graphics()}, {platform.system()}",
        "commit": commit(),
    }


def graphics() -> str:
    """The GPU that torch finds, as a part of the machine's name; "" where there is none."""
    return f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""


def processor() -> str:
    """The processor's name, as the system tells it."""
    if os.path.isfile("/proc/cpuinfo"):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of the checkout that this package lies in; None where there is no checkout."""
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=10", "HEAD"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None
