"""What a command says: results to stdout, everything else to stderr, one line each."""

import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any

from limner.errors import MissingExtra

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from limner.batch.run import Result

LEARN = ("torch", "onnx", "onnxscript", "safetensors", "timm")  # what [learn] installs
PIPE_SECONDS = 10.0  # between two plain lines of progress where stderr is no terminal


def say(message: str) -> None:
    """One line to stderr; a line break inside (of a file's name, say) becomes a space."""
    print("limner:", " ".join(message.splitlines()), file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """One JSON document to stdout. Raises ValueError for NaN and Infinity, which JSON lacks."""
    import json

    print(json.dumps(document, indent=2, allow_nan=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns to stdout: the first one to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        first = line[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join([first, *rest]).rstrip())


def need_extra(command: str, packages: Sequence[str] = LEARN) -> None:
    """Raise MissingExtra, which names the command that installs it, if a package is not there."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra(f"`limner {command}`", package)


class Progress:
    """How far a command is: a bar with the time left on a terminal, plain lines in a pipe.

    `with Progress("pictures") as progress: progress.update(1, 12)`. One step alone needs no bar.
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.bar: Bar | None = None
        self.spoken = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done; in a pipe, every ten seconds at most."""
        if total > 1 and sys.stderr.isatty():
            if self.bar is None:
                self.bar = _bar()
                self.task = self.bar.add_task(self.unit, total=total)
                self.bar.start()
            self.bar.update(self.task, completed=done)
        elif total > 1 and time.monotonic() - self.spoken >= PIPE_SECONDS:
            self.note(f"{done:,} of {total:,} {self.unit}")

    def note(self, message: str) -> None:
        """Show a passing remark: on the bar, or as a line in a pipe."""
        if self.bar is not None:
            self.bar.update(self.task, description=message)
        else:
            self.spoken = time.monotonic()
            say(message)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()


def watch(running: Iterator["Result"], total: int, json: bool) -> Iterator["Result"]:
    """Say what becomes of each picture while a batch runs, and pass it on: its error to stderr, or
    unless `json` the paths of what was written of it to stdout."""
    with Progress("pictures") as progress:
        progress.update(0, total)
        for done, result in enumerate(running, 1):
            progress.update(done, total)
            if result.error is not None:
                say(result.error)
            elif not json:
                print(*result.written(), sep="\n", flush=True)
            yield result


def _bar() -> "Bar":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True, soft_wrap=True),  # a long line stays one line
        redirect_stdout=sys.stdout.isatty(),  # results in a pipe must stay on stdout
    )
