"""Figures of an account: bars of the cost of every layer; the same input makes the same bytes."""

import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from limner.accounting.rows import Row
from limner.accounting.tables import NETWORK
from limner.drawing import render
from limner.errors import AccountError
from limner.files import write_atomically

KINDS = {".png": "png", ".svg": "svg"}


def bars(rows: Sequence[Row], title: str) -> Figure:
    """Connections and parameters of every layer that has any, in the order in which they run."""
    costly = [row for row in rows if row.connections or row.parameters]
    if not costly:
        raise AccountError("no layer has connections or parameters: there is nothing to draw")
    figure = Figure(figsize=(9, 1.2 + 0.2 * len(costly)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    names = [row.layer or NETWORK for row in costly]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, field, label, color in zip(
        panels,
        ("connections", "parameters"),
        ("connections (MACs)", "parameters"),
        ("tab:blue", "tab:orange"),
        strict=True,
    ):
        axes.barh(range(len(names)), [getattr(row, field) for row in costly], color=color)
        axes.set_xlabel(label)
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.grid(alpha=0.3, axis="x")
    panels[0].set_yticks(range(len(names)), names, fontsize=7)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    return figure


def kind_of(path: Path, kinds: Sequence[str] = tuple(KINDS)) -> str:
    """The kind of figure that the file's name asks for. AccountError for one that is not made."""
    suffix = path.suffix.lower()
    if suffix not in kinds:
        raise AccountError(
            f"{path}: a figure of this kind is not made; name it {' or '.join(kinds)}"
        )
    return KINDS[suffix]


def check_free(path: Path, overwrite: bool) -> None:
    """AccountError for a file that exists, unless it may be replaced."""
    if os.path.lexists(path) and not overwrite:
        raise AccountError(f"{path}: exists; give --overwrite, or another name")


def save(figure: Figure, path: Path) -> None:
    """Write the figure, as PNG or SVG by its name."""
    write_atomically(path, render(figure, kind_of(path)))
