"""Two networks side by side, and formulas beside the numbers that they must give."""

from collections.abc import Mapping, Sequence
from typing import Any

import sympy

from limner.accounting.account import Account
from limner.accounting.formats import Column, Table, Value
from limner.accounting.formula import Formulas, evaluate
from limner.accounting.rows import Row
from limner.accounting.tables import KINDS, OF_ROWS, Sums, has_formulas, header, to_json
from limner.errors import AccountError


def compare(
    names: tuple[str, str],
    sums: tuple[Sums, Sums],
    numbers: tuple[Sums, Sums],
    title: str,
    notes: Sequence[str] = (),
) -> Table:
    """Every total of two networks, or of one at two sizes, with how many times as much it is.

    sums: what is shown, numbers or formulas. numbers: what the ratio is of.
    """
    shown = [name for name in KINDS if name in sums[0] and name in sums[1]]
    return Table(
        title=title,
        columns=(
            Column("whole network", left=True),
            Column(names[0], left=has_formulas(sums[0])),
            Column(names[1], left=has_formulas(sums[1])),
            Column("ratio"),
        ),
        rows=tuple(
            (header(name), sums[0][name], sums[1][name], ratio(name, numbers)) for name in shown
        ),
        notes=tuple(notes),
    )


def ratio(name: str, numbers: tuple[Sums, Sums]) -> float | None:
    """How many times the first is in the second; None where the first is 0."""
    first, second = (values[name] for values in numbers)
    if not isinstance(first, int) or not isinstance(second, int) or first == 0:
        return None
    return second / first


def document(
    names: tuple[str, str], sums: tuple[Sums, Sums], numbers: tuple[Sums, Sums]
) -> dict[str, Any]:
    """The comparison for JSON; ratios are of the second to the first, null where that is 0."""
    shown = [name for name in KINDS if name in sums[0] and name in sums[1]]
    models: list[dict[str, Any]] = [
        {"model": model, "totals": {name: to_json(values[name]) for name in shown}}
        for model, values in zip(names, sums, strict=True)
    ]
    return {"models": models, "ratios": {name: ratio(name, numbers) for name in shown}}


def check(formulas: Formulas[Row], account: Account, point: Mapping[str, int]) -> None:
    """AccountError unless the formulas give the account's proved numbers at its sizes."""
    for row, proved in zip(formulas.rows, account.rows, strict=True):
        for name in OF_ROWS:
            formula: Value = getattr(row, name)
            number = getattr(proved, name)
            value = evaluate(formula, point) if isinstance(formula, sympy.Expr) else formula
            if value != number:
                raise AccountError(
                    f"{row.layer or 'the network'}: the formula of {KINDS[name][0]} gives {value}, "
                    f"the network has {number}; take other sizes"
                )
