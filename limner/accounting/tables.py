"""What an account says, as tables and as a JSON document: the layers and the whole network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy

from limner.accounting.account import Account
from limner.accounting.formats import Column, Table, Value, is_formula
from limner.accounting.formula import shorten, to_text
from limner.accounting.rows import Row

NETWORK = "(network)"  # the layer of what the network's own forward calls
Sums = Mapping[str, Value]  # a kind of cost -> its total

# Every kind of cost: its name for people, and its unit.
KINDS = {
    "parameters": ("parameters", ""),
    "trainable": ("trainable parameters", ""),
    "frozen": ("frozen parameters", ""),
    "buffers": ("buffer elements", ""),
    "connections": ("connections", "MACs"),
    "links": ("real links", "MACs"),
    "element_ops": ("element operations", ""),
    "training_forward": ("forward in training", "MACs"),
    "input_gradient": ("input gradients", "MACs"),
    "weight_gradient": ("weight gradients", "MACs"),
    "backward": ("backward", "MACs"),
    "step": ("training step", "MACs"),
    "saved": ("saved", "bytes"),
    "optimizer_state": ("optimizer state", "bytes"),
    "peak_inference": ("peak, inference", "bytes"),
    "peak_training": ("peak, training", "bytes"),
}
# Fields of a row that add up, and with the sums of two of them what a row can tell.
ADDED = ("parameters", "trainable", "buffers", "connections", "links", "element_ops",
         "training_forward", "input_gradient", "weight_gradient", "saved")  # fmt: skip
OF_ROWS = tuple(name for name in KINDS if name in (*ADDED, "frozen", "backward"))
# What people are shown, and in which order it is left out where the table is too wide.
SHOWN = {"parameters": 0, "connections": 0, "links": 9, "element_ops": 5, "backward": 7, "saved": 6}


def totals_of(account: Account) -> dict[str, Value]:
    """Every kind of cost of the whole network, by name."""
    return {name: getattr(account.totals, name) for name in KINDS}


def add_formulas(rows: Sequence[Row]) -> dict[str, Value]:
    """The sums of rows of formulas, by name; peaks and the optimizer's state are no sums."""
    sums: dict[str, Value] = {}
    for name in OF_ROWS:
        values = [getattr(row, name) for row in rows]
        sums[name] = shorten(sympy.Add(*(value for value in values if value is not None)))
    sums["step"] = shorten(sympy.sympify(sums["training_forward"]) + sums["backward"])
    return {name: sums[name] for name in KINDS if name in sums}


def group(rows: Sequence[Row], depth: int) -> list[Row]:
    """The rows added up by the first `depth` components of their paths, in order.

    A row of several has their number as its kind, and the output of the one that runs last.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(".".join(row.layer.split(".")[:depth]), []).append(row)
    return [
        part[0] if [row.layer for row in part] == [name] else add(name, part)
        for name, part in groups.items()
    ]


def add(name: str, part: Sequence[Row]) -> Row:
    """Several rows as one."""
    sums: dict[str, Any] = {}
    for field in ADDED:
        values = [getattr(row, field) for row in part if getattr(row, field) is not None]
        sums[field] = None if not values and field == "links" else sum(values)
    return replace(
        part[-1],
        layer=name,
        kind=f"{len(part)} layers",
        calls=max(row.calls for row in part),
        output=next((row.output for row in reversed(part) if row.output), ()),
        **{key: shorten(v) if isinstance(v, sympy.Expr) else v for key, v in sums.items()},
    )


def largest(rows: Sequence[Row], count: int) -> list[str]:
    """The layers with the most connections, parameters where those are equal; the first first."""
    ordered = sorted(rows, key=lambda row: (-row.connections, -row.parameters))
    return [row.layer for row in ordered[:count]]


def tabulate(rows: Sequence[Row], sums: Sums, title: str, *, full: bool = False) -> Table:
    """One line a layer, and the totals unless they are formulas, which would be too wide.

    `full`: every kind of cost with the batch in the shapes, for programs; not the six of most use.
    """
    names = {name: 0 for name in OF_ROWS} if full else SHOWN
    texts = [Column("layer", left=True), Column("kind", left=True, spare=8)]
    if full:
        texts.append(Column("calls"))
    columns = (
        *texts,
        Column("output", left=True),
        *(Column(*KINDS[name], spare=spare) for name, spare in names.items()),
    )
    first: tuple[str, ...] = ("total", "", "") if full else ("total", "")
    return Table(
        title=title,
        columns=columns,
        rows=tuple(
            (
                row.layer or NETWORK,
                row.kind,
                *([row.calls] if full else []),
                row.output if full else row.output[1:],
                *(getattr(row, name) if full else shown(row, name) for name in names),
            )
            for row in rows
        ),
        total=None if has_formulas(sums) else (*first, "", *(sums[name] for name in names)),
    )


def shown(row: Row, name: str) -> Value:
    """A row's cost; nothing where connections are none by definition, as those of a norm."""
    value: Value = getattr(row, name)
    none = row.links is None and name in ("connections", "backward") and value == 0
    return None if none else value


def tabulate_whole(
    sums: Sums, device: str, batch: int, optimizer: str, notes: Sequence[str] = ()
) -> Table:
    """Every total in a line of its own, with what it depends on."""
    about = {
        "trainable": "what a training step learns",
        "connections": "forward, what multiplies padding counted",
        "links": "without padding",
        "element_ops": "norms, pools, activations, sums, resizing: no connections",
        "training_forward": "norms in training mode",
        "backward": share(sums),
        "step": "forward and backward",
        "saved": f"what autograd keeps, batch {batch}, device {device}",
        "optimizer_state": optimizer,
        "peak_inference": "estimate: weights, input, activations that live at once",
        "peak_training": "estimate: also gradients and the optimizer's state",
    }
    formulas = has_formulas(sums)
    return Table(
        title="",
        columns=(
            Column("whole network", left=True),
            Column("count", left=formulas),
            Column("", left=True, spare=int(formulas)),
        ),
        rows=tuple((header(name), value, about.get(name, "")) for name, value in sums.items()),
        notes=tuple(notes),
    )


def header(name: str) -> str:
    """A kind of cost with its unit: "connections (MACs)"."""
    return Column(*KINDS[name]).header


def share(sums: Sums) -> str:
    """How much the backward pass is of the forward pass in training."""
    forward, backward = sums["training_forward"], sums["backward"]
    if not isinstance(forward, int) or not isinstance(backward, int) or not forward:
        return "input and weight gradients"
    return f"{100 * backward / forward:.4g} % of forward"


def has_formulas(sums: Sums) -> bool:
    """Whether any total is no plain number."""
    return any(is_formula(value) for value in sums.values())


def document(
    model: str,
    shapes: Sequence[Sequence[Value]],
    rows: Sequence[Row],
    sums: Sums,
    notes: Sequence[str],
) -> dict[str, Any]:
    """The account for JSON: numbers as they are, formulas as strings that sympy reads.

    input: the shape with the batch, or a list of shapes where there are several inputs.
    """
    return {
        "model": model,
        "input": shape_of(shapes),
        "rows": [
            {
                "layer": row.layer,
                "kind": row.kind,
                "calls": to_json(row.calls),
                "output": [to_json(size) for size in row.output],
                **{name: to_json(getattr(row, name)) for name in OF_ROWS},
            }
            for row in rows
        ],
        "totals": {name: to_json(value) for name, value in sums.items()},
        "notes": list(notes),
    }


def shape_of(shapes: Sequence[Sequence[Value]]) -> list[Any]:
    """One shape as a list, several as a list of lists."""
    lists = [[to_json(size) for size in shape] for shape in shapes]
    return lists[0] if len(lists) == 1 else lists


def to_json(value: Value) -> int | float | str | None:
    """A value for JSON: a whole number as one, any other expression as a string."""
    if is_formula(value):
        return to_text(value)
    return int(value) if isinstance(value, sympy.Integer) else value
