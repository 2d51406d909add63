"""Options that several commands share, and numbers that are checked where they are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option("--device", help="Where the network runs; auto takes cuda where it is there."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Photos = Annotated[
    list[Path],
    typer.Argument(metavar="PHOTO|FOLDER", help="JPEG, PNG, TIFF or WebP; folders of them."),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", help="Folders in folders too; their structure is kept.")
]


def real(low: float, high: float) -> Callable[[str], float]:
    """A parser of finite numbers in low..high."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text} is not a number") from error
        if not low <= value <= high:  # NaN too
            raise typer.BadParameter(f"{text} is not in {low:g}..{high:g}")
        return value

    return parse


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """A parser of whole numbers from `low`, up to `high` where there is one."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text} is not a whole number") from error
        if value < low or (high is not None and value > high):
            bounds = f"in {low}..{high}" if high is not None else f"{low} or more"
            raise typer.BadParameter(f"{text} is not {bounds}")
        return value

    return parse


MaxPixels = Annotated[
    int, typer.Option(parser=whole(1), metavar="PIXELS", help="Refuse pictures with more pixels.")
]
