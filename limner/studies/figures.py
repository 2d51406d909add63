"""Figures of a study: curves, bars and rows of pictures; the same input makes the same bytes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from limner.scores import Interval

GAP = 3  # white pixels between two pictures of a row
Line = tuple[Sequence[float], Sequence[Sequence[float]]]  # x, and y of each seed


def curves(lines: Mapping[str, Line], x: str, y: str) -> Figure:
    """The mean over seeds of each line, and the range of its seeds as a band."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, (steps, seeds) in lines.items():
        table = np.array(seeds, np.float64)
        (drawn,) = axes.plot(steps, table.mean(axis=0), label=name, linewidth=1.4)
        if len(table) > 1:
            low, high = table.min(axis=0), table.max(axis=0)
            axes.fill_between(steps, low, high, alpha=0.2, linewidth=0, color=drawn.get_color())
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def bars(values: Mapping[str, Interval], x: str, marks: Mapping[str, float]) -> Figure:
    """A bar for each value with its interval; `marks` are lines across, as the look-up's."""
    figure = Figure(figsize=(7, 0.6 + 0.32 * (len(values) + 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = list(values)
    middle = [values[name].value for name in names]
    halves = [values[name].high - values[name].value for name in names]  # NaN draws nothing
    axes.barh(names, middle, xerr=halves, color="tab:blue", height=0.65, capsize=2)
    for place, (name, value) in enumerate(marks.items()):
        axes.axvline(value, color=f"C{place + 1}", linestyle="--", linewidth=1.2, label=name)
    if marks:
        figure.legend(loc="outside upper right", fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(x)
    axes.grid(alpha=0.3, axis="x")
    return figure


def pictures(rows: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """Rows of small pictures [n, H, W, 3], each pixel sharp, with the rows' names at the left."""
    count = max(len(row) for row in rows.values())
    figure = Figure(figsize=(2.2 + 0.8 * count, 0.85 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    lines = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, (name, row) in zip(lines, rows.items(), strict=True):
        apart = np.pad(row, ((0, count - len(row)), (0, 0), (0, GAP), (0, 0)), constant_values=255)
        n, H, W, _ = apart.shape
        axes.imshow(apart.swapaxes(0, 1).reshape(H, n * W, 3), interpolation="nearest")
        axes.set_anchor("E")  # what is left of the width is the names'
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure
