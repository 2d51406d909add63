"""Checkpoints without pickle: safetensors in parts of at most 15 MB, and one JSON file that is
written last and names them. Whatever interrupts a save, the older checkpoint stays whole.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from limner.errors import TrainingError
from limner.files import write_atomically

PART = 15_000_000  # bytes; small enough for any host of files
CHECKPOINT = "checkpoint"


def save(
    run: Path,
    step: int,
    tensors: dict[str, torch.Tensor],
    state: dict[str, Any],
    name: str = CHECKPOINT,
) -> None:
    """Keep `tensors` and the plain `state` as the run's checkpoint of that name after `step` steps.

    The parts carry the step in their names; the head replaces the old head in one rename, and
    only then are the old parts removed, and what a killed save left.
    """
    content = safetensors.torch.save({k: t.contiguous().cpu() for k, t in tensors.items()})
    parts = {}
    for number, start in enumerate(range(0, len(content), PART)):
        file = f"{name}-{step:08d}.{number:02d}.safetensors"
        part = content[start : start + PART]
        write_atomically(run / file, part)
        parts[file] = hashlib.sha256(part).hexdigest()
    head = {"step": step, "parts": parts, **state}
    write_atomically(head_of(run, name), json.dumps(head, indent=1).encode())
    for old in [*run.glob(f"{name}-*.safetensors"), *run.glob(f".{name}*")]:
        if old.name not in parts:
            old.unlink()


def head_of(run: Path, name: str) -> Path:
    """The file that names a checkpoint's parts."""
    return run / f"{name}.json"


def exists(run: Path, name: str) -> bool:
    """Whether the run has a checkpoint of that name."""
    return head_of(run, name).is_file()


def load(run: Path, name: str = CHECKPOINT) -> tuple[int, dict[str, torch.Tensor], dict[str, Any]]:
    """The run's checkpoint of that name: step, tensors, state.

    Raises TrainingError if there is none, or a part is missing or is not what was saved.
    """
    try:
        head = json.loads(head_of(run, name).read_text())
        step, parts = head.pop("step"), head.pop("parts")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{head_of(run, name)}: missing or damaged ({error}); start the run anew"
        ) from error
    content = bytearray()
    for file, digest in parts.items():
        try:
            part = (run / file).read_bytes()
        except OSError as error:
            raise TrainingError(
                f"{run / file}: cannot be read ({error.strerror}); the checkpoint needs it: "
                "restore the file or start the run anew"
            ) from error
        if hashlib.sha256(part).hexdigest() != digest:
            raise TrainingError(
                f"{run / file}: damaged ({len(part):,} bytes that are not those saved); "
                "restore the file or start the run anew"
            )
        content += part
    return step, safetensors.torch.load(bytes(content)), head
