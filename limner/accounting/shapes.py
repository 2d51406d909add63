"""The picture of a network's shapes: a box for every shape that it makes, arcs for its skips."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.path import Path

from limner.accounting.operation import Operation
from limner.accounting.trace import INPUT
from limner.errors import AccountError

JOINS = {"cat": "join", "add": "+", "add_": "+", "mul": "x", "mul_": "x"}
MOST = 400  # boxes in one picture


@dataclass(frozen=True)
class Box:
    """One or several operations in a row that keep the shape.

    name: the layer that made the shape, or what joins two. shape: without the batch. sources: the
    boxes that it reads, by place; those other than the one before are skips.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[int, ...]


def boxes(operations: Sequence[Operation], input: Sequence[int]) -> list[Box]:
    """The network as boxes in the order in which they run; the first is the input.

    An operation joins the box that it reads if it keeps the shape and nothing else reads that: so a
    convolution with its norm and activation is one box. What reads nothing (constants) is left out.
    """
    readers: dict[int, int] = {}
    for operation in operations:
        for source in operation.sources:
            readers[source] = readers.get(source, 0) + 1
    made = [Box("input", tuple(input[1:]), ())]
    home = {INPUT: 0}  # operation -> its box
    for index, operation in enumerate(operations):
        sources = tuple(dict.fromkeys(home[s] for s in operation.sources if s in home))
        if not sources:
            continue
        shape = tuple(operation.output[1:])
        before = operation.sources[0]
        alone = len(sources) == 1 and readers.get(before) == 1 and before != INPUT
        if alone and made[sources[0]].shape == shape:
            home[index] = sources[0]
            continue
        home[index] = len(made)
        name = JOINS.get(operation.operator, "") if len(sources) > 1 else ""
        made.append(Box(name or operation.layer or operation.operator, shape, sources))
    return made


def skips(made: Sequence[Box]) -> list[tuple[int, int]]:
    """Pairs of boxes (from, to) where a box reads another than the one before."""
    return [(s, i) for i, box in enumerate(made) for s in box.sources if s != i - 1]


def levels(arcs: Sequence[tuple[int, int]]) -> list[int]:
    """A height for every arc, so that no two that run over each other share one; short ones low."""
    taken: dict[int, list[tuple[int, int]]] = {}
    found: dict[tuple[int, int], int] = {}
    for start, end in sorted(arcs, key=lambda arc: (arc[1] - arc[0], arc)):
        level = 0
        while any(a < end and start < b for a, b in taken.get(level, [])):
            level += 1
        taken.setdefault(level, []).append((start, end))
        found[start, end] = level
    return [found[arc] for arc in arcs]


def draw(operations: Sequence[Operation], input: Sequence[int], title: str) -> Figure:
    """Boxes as high as the root of the sides and as wide as the root of the channels, skips above.

    input: the shape with the batch. AccountError for a network of more than MOST boxes.
    """
    made = boxes(operations, input)
    if len(made) > MOST:
        raise AccountError(
            f"the picture of shapes would have {len(made)} boxes, more than {MOST}; "
            "draw the bars with --figure, or a part of the network"
        )
    heights = scale([side_of(box.shape) for box in made], 1.0)
    widths = scale([sqrt(box.shape[0]) if box.shape else 1.0 for box in made], 0.6)
    arcs = skips(made)
    highest = max(levels(arcs), default=-1)
    figure = Figure(figsize=(1.2 + 0.8 * len(made), 3.4 + 0.3 * highest), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.axis("off")
    for i, (box, height, width) in enumerate(zip(made, heights, widths, strict=True)):
        color = "tab:orange" if box.name in JOINS.values() else "lightsteelblue"
        axes.add_patch(
            Rectangle(
                (i - width / 2, -height / 2), width, height, facecolor=color, edgecolor="black"
            )
        )
        label = "x".join(str(size) for size in box.shape)
        axes.text(i, -0.56, label, ha="center", va="top", fontsize=7)
        axes.text(i, -0.68, box.name, ha="right", va="top", fontsize=7, rotation=40)
        if i and i - 1 in box.sources:
            path = [(i - 1 + widths[i - 1] / 2, 0.0), (i - width / 2, 0.0)]
            axes.add_patch(arrow(path, "black"))
    for (start, end), level in zip(arcs, levels(arcs), strict=True):
        top = 0.62 + 0.12 * level
        # an arc leaves right of the middle and arrives left of it, so that two do not meet
        ends = (start + 0.06, end - 0.06)
        path = [(ends[0], heights[start] / 2), (ends[0], top), (ends[1], top),
                (ends[1], heights[end] / 2)]  # fmt: skip
        axes.add_patch(arrow(path, "tab:red"))
    axes.set_xlim(-0.8, len(made) - 0.2)
    axes.set_ylim(-1.1, 0.7 + 0.12 * (highest + 1))
    return figure


def arrow(points: Sequence[tuple[float, float]], color: str) -> FancyArrowPatch:
    """A line through the points with a head at its end."""
    return FancyArrowPatch(
        path=Path(points), color=color, arrowstyle="-|>", mutation_scale=7, linewidth=0.9,
        fill=False, shrinkA=0, shrinkB=0,
    )  # fmt: skip


def side_of(shape: Sequence[int]) -> float:
    """The mean side of a picture (geometric), 1 of what has no sides."""
    return sqrt(prod(shape[1:])) if len(shape) > 1 else 1.0


def scale(values: Sequence[float], most: float) -> list[float]:
    """The values with the largest as `most`, none too small to be seen."""
    return [max(0.05, most * value / max(values)) for value in values]
