"""The write-up's Table 1 as tables and as a JSON document."""

from collections.abc import Mapping, Sequence
from typing import Any

import sympy

from limner.accounting import as_written
from limner.accounting.formats import Cell, Column, Table, Value
from limner.accounting.formula import evaluate
from limner.accounting.tables import shape_of, to_json


def tabulate(table: as_written.Table, title: str, point: Mapping[str, int]) -> Table:
    """A line for every convolution and one for what follows it.

    The column at the right is how many times as many connections and real links there are when the
    picture doubles; at the values of `point` where that depends on symbols.
    """
    doubled = table.growth is not None
    columns = [
        Column("layer", left=True),
        Column("of", joint=", ", left=True),
        Column("weights", joint=", "),
        Column("HxWxC", left=True),
        Column("connections", "MACs"),
        Column("real links", "MACs"),
        *([Column("times if doubled", joint=", ")] if doubled else []),
    ]
    rows: list[tuple[Cell, ...]] = []
    for line in table.lines:
        row = (line.layer, line.kinds, line.weights, line.output, line.connections, line.links)
        growth = (decimal(line.growth, point), decimal(line.links_growth, point))
        rows.append((*row, *([growth if line.growth is not None else None] if doubled else [])))
    return Table(title, tuple(columns), tuple(rows))


def tabulate_totals(
    table: as_written.Table, notes: Sequence[str], point: Mapping[str, int]
) -> Table:
    """(1.1) and (1.2), what stands beside them, and the slips as notes."""
    rows: list[tuple[Cell, ...]] = [
        ("(1.1) weights", table.weights),
        ("(1.2) connections (MACs)", table.connections),
        ("real links (MACs)", table.links),
        ("biases left out", table.biases),
    ]
    if table.growth is not None:
        rows += [
            ("times the connections if doubled", decimal(table.growth, point)),
            ("times the real links if doubled", decimal(table.links_growth, point)),
        ]
    columns = (Column("total", left=True), Column("", left=True))
    return Table("", columns, tuple(rows), notes=(*notes, *table.notes))


def decimal(value: sympy.Expr | None, point: Mapping[str, int]) -> Value:
    """A ratio at the point's values: a whole number as it is, any other as a decimal."""
    if value is None or value.is_Integer:
        return value
    return float(evaluate(value, point))


def document(
    model: str, shapes: Sequence[Sequence[Value]], table: as_written.Table, notes: Sequence[str]
) -> dict[str, Any]:
    """The table for JSON. parameters: without biases; weights: those of each kind in the line."""
    return {
        "model": model,
        "input": shape_of(shapes),
        "rows": [
            {
                "layer": line.layer,
                "kind": ", ".join(line.kinds),
                "parameters": to_json(sympy.Add(*line.weights)),
                "weights": [to_json(weight) for weight in line.weights],
                "output": [to_json(size) for size in line.output],
                "connections": to_json(line.connections),
                "links": to_json(line.links),
                "connections_growth": to_json(line.growth),
                "links_growth": to_json(line.links_growth),
            }
            for line in table.lines
        ],
        "totals": {
            "parameters": to_json(table.weights),
            "connections": to_json(table.connections),
            "links": to_json(table.links),
            "biases": to_json(table.biases),
            "connections_growth": to_json(table.growth),
            "links_growth": to_json(table.links_growth),
        },
        "notes": [*notes, *table.notes],
    }
