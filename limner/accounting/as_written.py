"""The count as the project's write-up tables it: no biases, padding counted, two lines a block.

Its Table 1 has a line for every convolution and one for the pooling or upsampling, the norm and
the ReLU behind it; (1.1) and (1.2) are its totals. The rows of any account of convolutions can be
put so, numbers or formulas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from limner.accounting.formula import shorten
from limner.accounting.rows import Row
from limner.errors import AccountError

NAMES = {
    "Conv2d": "conv",
    "BatchNorm2d": "norm",
    "MaxPool2d": "maxpool",
}  # others: in small letters


@dataclass(frozen=True)
class Line:
    """One line of the table.

    layer: a convolution's path, or that of the block whose further layers the line holds. kinds
    and weights: of each layer, biases of convolutions left out. output: H, W, C of the last.
    connections: of one picture, padding counted; links: without padding (None: neither). growth,
    links_growth: how many times as many when the picture doubles (None where that is not known).
    """

    layer: str
    kinds: tuple[str, ...]
    weights: tuple[sympy.Expr, ...]
    output: tuple[sympy.Expr, ...]
    connections: sympy.Expr | None = None
    links: sympy.Expr | None = None
    growth: sympy.Expr | None = None
    links_growth: sympy.Expr | None = None


@dataclass(frozen=True)
class Table:
    """The lines, the totals (1.1) weights and (1.2) connections, and what is to be known of them.

    biases: the parameters that the table leaves out. growth, links_growth: as in a line.
    """

    lines: tuple[Line, ...]
    weights: sympy.Expr
    connections: sympy.Expr
    links: sympy.Expr
    biases: sympy.Expr
    growth: sympy.Expr | None
    links_growth: sympy.Expr | None
    notes: tuple[str, ...]


def as_written(rows: Sequence[Row], doubled: Sequence[Row] | None = None) -> Table:
    """The rows of an account in the write-up's convention, for one picture.

    doubled: the rows for a picture of twice the sides, for the ratios. AccountError for a layer
    with connections that is no convolution, or that runs more than once.
    """
    lines: list[Line] = []
    biases = sympy.Integer(0)
    for i, row in enumerate(rows):
        if row.connections != 0:
            line = convolution_line(row, doubled[i] if doubled else None)
            biases += row.parameters - line.weights[0]
            lines.append(line)
        elif row.parameters != 0 or row.element_ops != 0:
            add_layer(lines, row)
    connections = total(line.connections for line in lines)
    links = total(line.links for line in lines)
    larger = as_written(doubled) if doubled else None
    return Table(
        lines=tuple(lines),
        weights=total(weight for line in lines for weight in line.weights),
        connections=connections,
        links=links,
        biases=shorten(biases),
        growth=ratio(larger.connections, connections) if larger else None,
        links_growth=ratio(larger.links, links) if larger else None,
        notes=slips(shorten(biases)),
    )


def convolution_line(row: Row, doubled: Row | None) -> Line:
    """The line of a convolution, which uses each weight once per output place and picture.

    So its weights are connections / places, and what is left of its parameters are biases.
    """
    if row.kind != "Conv2d" or row.calls != 1:
        raise AccountError(
            f"{row.layer} ({row.kind}, run {row.calls} times) has no line in the write-up's table; "
            "count it without --as-written"
        )
    _, channels, *sides = (sympy.sympify(size) for size in row.output)
    connections, links = of_one_picture(row)
    larger = of_one_picture(doubled) if doubled else None
    return Line(
        layer=row.layer,
        kinds=("conv",),
        weights=(shorten(connections / sympy.prod(sides)),),
        output=(*sides, channels),
        connections=connections,
        links=links,
        growth=ratio(larger[0], connections) if larger else None,
        links_growth=ratio(larger[1], links) if larger else None,
    )


def of_one_picture(row: Row) -> tuple[sympy.Expr, sympy.Expr]:
    """Connections and links, which a row counts for its batch."""
    batch = sympy.sympify(row.output[0])
    return shorten(row.connections / batch), shorten(sympy.sympify(row.links) / batch)


def add_layer(lines: list[Line], row: Row) -> None:
    """Put a layer without connections in the last line, if that is of its block, or in its own."""
    block = row.layer.rpartition(".")[0]
    kind = NAMES.get(row.kind, row.kind.lower())
    _, channels, *sides = row.output
    last = lines.pop() if lines and is_block(lines[-1], block) else Line(block, (), (), ())
    lines.append(
        Line(
            layer=block,
            kinds=(*last.kinds, kind),
            weights=(*last.weights, sympy.sympify(row.parameters)),
            output=tuple(sympy.sympify(size) for size in (*sides, channels)),
        )
    )


def is_block(line: Line, block: str) -> bool:
    """Whether the line already holds layers without connections of that block."""
    return line.connections is None and line.layer == block


def total(values: Any) -> sympy.Expr:
    """The sum of those that are not None, as a sum of terms."""
    return sympy.expand(sympy.Add(*(value for value in values if value is not None)))


def ratio(larger: Any, smaller: Any) -> sympy.Expr:
    """The quotient in lowest terms."""
    return sympy.factor(sympy.cancel(sympy.sympify(larger) / smaller))


def slips(biases: sympy.Expr) -> tuple[str, ...]:
    """What the write-up's table leaves out or takes for granted."""
    return (
        f"biases of the convolutions are left out: {biases} parameters more",
        "connections that read padding are counted; real links are fewer, and do not grow by "
        "exactly 4 when the picture doubles",
        'the sides are height and width; the write-up says "weight and height"',
        "odd k only: with padding (k - 1) / 2 an even kernel does not keep the sides",
        "one input channel: the first convolution's NIn = 1 does not show",
    )
