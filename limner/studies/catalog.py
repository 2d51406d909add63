"""The studies by name, each imported when it is asked for, and the folders that they answer into.

It imports nothing that costs time, so that `limner study --help` is there at once.
"""

import json
import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.errors import StudyError

if TYPE_CHECKING:
    from limner.studies.study import Study

NAMES = (
    "skip-connections",
    "batch-size",
    "affine-input",
    "image-size",
    "palette",
    "category",
    "tuning",
)
FOLDER = Path("studies")  # where an answer goes unless another folder is named
RESULT = "result.json"


def study(name: str) -> "Study":
    """The study of that name. Raises StudyError that lists the names."""
    if name not in NAMES:
        raise StudyError(f"{name}: no study of that name; the studies are {', '.join(NAMES)}")
    found: Study = import_module(f"limner.studies.{name.replace('-', '_')}.study").STUDY
    return found


def folder_of(name: str) -> Path:
    """The folder that a person means: a folder with an answer, or else a study's own by its name.

    Raises StudyError for neither.
    """
    if os.path.isfile(Path(name) / RESULT):
        return Path(name)
    if name in NAMES:
        return FOLDER / name
    raise StudyError(
        f"{name}: neither a folder with {RESULT} nor a study's name; the studies are "
        f"{', '.join(NAMES)}"
    )


def result(folder: Path) -> dict[str, Any]:
    """A study's answer, its result.json. Raises StudyError if there is none, or it is damaged."""
    path = folder / RESULT
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise StudyError(
            f"{path}: no study's answer ({reason}); run `limner study NAME -o {folder}`"
        ) from error
    if not isinstance(document, dict) or document.get("study") not in NAMES:
        raise StudyError(f"{path}: no study's answer; name another folder")
    return document


def check_free(folder: Path, name: str, quick: bool, files: Iterable[str]) -> None:
    """Raise StudyError if the study's answer would replace what is not an answer of that study, or
    a quick one a full one."""
    if os.path.lexists(folder / RESULT):
        found = result(folder)
        if found["study"] != name:
            raise StudyError(
                f"{folder}: holds the answer of {found['study']}; choose another with -o"
            )
        if quick and not found["quick"]:
            raise StudyError(f"{folder}: holds the full answer; choose another with -o")
        return
    for file in files:
        if os.path.lexists(folder / file):
            raise StudyError(
                f"{folder / file}: exists, and is no study's; remove it, or choose another "
                "folder with -o"
            )
