"""Which picture goes where: inputs and an output become jobs; what cannot go well is refused here,
before any work starts.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from limner.errors import LimnerError
from limner.picture import FORMATS

SUFFIXES = tuple(FORMATS)


class Job(Protocol):
    """One picture, where it is read, and what is written of it."""

    @property
    def input(self) -> Path: ...

    def targets(self) -> tuple[Path, ...]:
        """All files that this job writes, the first one always."""


@dataclass(frozen=True)
class ColorJob:
    """One picture to color: where the result goes, what goes beside it."""

    input: Path
    output: Path
    certainty: Path | None = None  # NAME.certainty.png
    compare: Path | None = None  # NAME.compare.png

    def targets(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.output, self.certainty, self.compare) if path)


@dataclass(frozen=True)
class SegmentJob:
    """One picture to segment: where its overlay and its mask go."""

    input: Path
    overlay: Path  # NAME.overlay.png
    mask: Path  # NAME.mask.png

    def targets(self) -> tuple[Path, ...]:
        return (self.overlay, self.mask)


def plan(
    inputs: Sequence[Path],
    output: Path,
    *,
    format: str | None = None,
    recursive: bool = False,
    certainty: bool = False,
    compare: bool = False,
) -> list[ColorJob]:
    """The jobs to color `inputs` (pictures and folders), in their order, folders in name order.

    `output` is a folder, or for one picture a file. Folders are read one level deep, or with
    `recursive` all the way down, and their structure is kept. A picture that is missing is a job
    too (reading it fails, the rest goes on). Raises LimnerError for what spoils the whole call: a
    folder without pictures, a result in the folder of its input, two results of one name, a file to
    write that is an input.
    """
    if _is_file(inputs, output):
        names = [(inputs[0], _check_suffix(output, format))]
        if _same(inputs[0], output):
            raise LimnerError(f"{output}: is the input itself; give another name after -o")
    else:
        placed = _placed(inputs, output, recursive)
        names = [(path, _renamed(target, format)) for path, target in placed]
    jobs = [
        ColorJob(
            path,
            target,
            target.with_name(f"{target.stem}.certainty.png") if certainty else None,
            target.with_name(f"{target.stem}.compare.png") if compare else None,
        )
        for path, target in names
    ]
    _refuse_clashes(jobs)
    return jobs


def plan_segments(
    inputs: Sequence[Path], output: Path, *, recursive: bool = False
) -> list[SegmentJob]:
    """The jobs to segment `inputs`, as `plan` makes those to color; `output` is a folder.

    A PNG of a folder that lies beside a photograph of the same stem is that picture's mask and is
    passed over; one that is named itself is not.
    """
    named = os.path.exists(output) or output.suffix.lower() in SUFFIXES
    if named and not os.path.isdir(output):
        raise LimnerError(f"{output}: names a file, and each picture makes two; give a folder")
    placed = _placed(inputs, output, recursive)
    photographed = {path.with_suffix("") for path, _ in placed if path.suffix.lower() != ".png"}
    given = set(inputs)
    jobs = [
        SegmentJob(
            path,
            target.with_name(f"{target.stem}.overlay.png"),
            target.with_name(f"{target.stem}.mask.png"),
        )
        for path, target in placed
        if path.suffix.lower() != ".png"
        or path.with_suffix("") not in photographed
        or path in given
    ]
    _refuse_clashes(jobs)
    return jobs


def _placed(inputs: Sequence[Path], output: Path, recursive: bool) -> list[tuple[Path, Path]]:
    """Every picture of the inputs with its place below the output folder."""
    placed = [
        (path, output / relative)
        for given in inputs
        for path, relative in _pictures(given, recursive)
    ]
    _refuse_own_folder(inputs, output, recursive, placed)
    return placed


def _refuse_clashes(jobs: Sequence[Job]) -> None:
    _refuse_same_target(jobs)
    _refuse_inputs_as_targets(jobs)


def _is_file(inputs: Sequence[Path], output: Path) -> bool:
    """Whether -o names a file: one picture goes in, and the name that is given has an ending."""
    if os.path.isdir(output):
        return False
    if len(inputs) == 1 and not os.path.isdir(inputs[0]):
        return output.suffix != "" or os.path.exists(output)
    if os.path.exists(output) or output.suffix.lower() in SUFFIXES:
        raise LimnerError(f"{output}: names one file, but several pictures go in; give a folder")
    return False


def _check_suffix(output: Path, format: str | None) -> Path:
    endings = _endings(format) if format else SUFFIXES
    if output.suffix.lower() not in endings:
        raise LimnerError(
            f"{output}: the ending is not {' or '.join(endings)}; "
            "give a name with one of these, or make the folder first if it is meant as one"
        )
    return output


def _renamed(path: Path, format: str | None) -> Path:
    if format is None or path.suffix.lower() in _endings(format):
        return path
    return path.with_suffix(_endings(format)[0])


def _endings(format: str) -> tuple[str, ...]:
    """The endings that stand for a format, the usual one first."""
    return tuple(suffix for suffix, meant in FORMATS.items() if meant == format)


def _pictures(given: Path, recursive: bool) -> list[tuple[Path, Path]]:
    """The pictures of one input, each with its place below the output folder."""
    if not os.path.isdir(given):
        return [(given, Path(given.name))]
    found = [(path, path.relative_to(given)) for path in _walk(given, recursive)]
    if not found:
        raise LimnerError(
            f"{given}: no picture in this folder ({', '.join(SUFFIXES)}); "
            f"give another folder{'' if recursive else ', or --recursive for the folders in it'}"
        )
    return found


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    """Pictures in name order, hidden ones left out; links to folders are not followed."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise LimnerError(
            f"{folder}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not os.path.isdir(entry):
            if entry.suffix.lower() in SUFFIXES:
                yield entry
        elif recursive and not os.path.islink(entry):
            yield from _walk(entry, recursive)


def _same(one: Path, other: Path) -> bool:
    """Whether two spellings mean one place on the disk, through links too."""
    return not _identity(one).isdisjoint(_identity(other))


def _identity(path: Path) -> set[object]:
    """What tells a place on the disk: its path without links, and the file's own number."""
    known: set[object] = {os.path.realpath(path)}
    if os.path.exists(path):
        found = os.stat(path)
        known.add((found.st_dev, found.st_ino))
    return known


def _refuse_own_folder(
    inputs: Sequence[Path], output: Path, recursive: bool, names: Sequence[tuple[Path, Path]]
) -> None:
    folders = {(path if os.path.isdir(path) else path.parent, output) for path in inputs}
    folders |= {(path.parent, target.parent) for path, target in names}
    for folder, target in sorted(folders):
        if _same(folder, target):
            raise LimnerError(f"{target}: is the folder of the input; give another folder after -o")
    for path in inputs:
        if recursive and os.path.isdir(path) and _lies_in(output, path):
            raise LimnerError(
                f"{output}: lies in the input {path}, and --recursive would take its results for "
                "inputs; give a folder outside after -o"
            )


def _lies_in(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _refuse_same_target(jobs: Sequence[Job]) -> None:
    writers: dict[Path, Path] = {}
    for job in jobs:
        for target in job.targets():
            place = Path(os.path.realpath(target.parent), target.name)
            if place in writers:
                raise LimnerError(
                    f"{target}: would be written by {writers[place]} and by {job.input}; "
                    "let them go into two folders"
                )
            writers[place] = job.input


def _refuse_inputs_as_targets(jobs: Sequence[Job]) -> None:
    inputs = {key: job.input for job in jobs for key in _identity(job.input)}
    for job in jobs:
        for target in job.targets():
            for key in _identity(target) & inputs.keys():
                raise LimnerError(
                    f"{target}: would be written over the input {inputs[key]}; "
                    "give another name or folder after -o"
                )


def make_folders(jobs: Sequence[Job]) -> None:
    """Make the folders that the results go to. Raises LimnerError where one cannot be written."""
    for folder in sorted({job.targets()[0].parent for job in jobs}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LimnerError(
                f"{folder}: cannot be made ({error.strerror}); give another folder after -o"
            ) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise LimnerError(f"{folder}: cannot be written to; check its permissions")
