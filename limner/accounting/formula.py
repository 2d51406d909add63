"""Counts as formulas in a network's own symbols, checked where they were not made.

A formula comes from one symbolic run (symbolic.py), or, where a network refuses symbols or makes
plain numbers of them, from interpolation (interpolate.py). Either way it must then give the counts
of the concrete network at fresh points: near ones, far ones, other remainders.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from random import Random
from typing import Any, Generic, TypeVar

import sympy

from limner.accounting.conditions import holds
from limner.accounting.interpolate import Free, interpolate
from limner.accounting.symbolic import run
from limner.errors import AccountError

T = TypeVar("T")  # a row: a dataclass whose whole numbers, alone or in tuples, are counts
Point = Mapping[str, int]
CHECKS = 3  # fresh points at which formulas are checked
STRIDES = (0, 1, 2, 3, 5, 8, 13, 34)  # steps from the known value to a fresh one


@dataclass(frozen=True)
class Formulas(Generic[T]):
    """Rows whose counts are sympy expressions, and where they hold.

    free: the symbols with their steps. conditions: relations under which the formulas hold.
    points: where they were checked against the concrete network. notes: how they were found, and
    what is not polynomial.
    """

    rows: tuple[T, ...]
    free: tuple[Free, ...]
    conditions: tuple[sympy.Basic, ...]
    points: tuple[Point, ...]
    notes: tuple[str, ...]


def derive(counts: Callable[[Mapping[str, Any]], Sequence[T]], free: Sequence[Free]) -> Formulas[T]:
    """Formulas for what `counts` counts.

    counts: a point (symbol's name -> value) -> rows; values are plain, or symbolic sizes. Where the
    symbolic run fails, or is wrong at a fresh point, formulas are interpolated. AccountError where
    that fails too, and where a network takes no fresh point.
    """
    concrete = cache_by_point(counts)
    known = {symbol.name: symbol.value for symbol in free}
    concrete(known)  # what is wrong at plain numbers is said as it is
    try:
        symbolic = run(lambda point: flatten(counts(point)), free)
    except AccountError as error:
        reason = str(error)
    except Exception as error:  # whatever a network raises at a size that is no plain number
        reason = str(error).strip().split("\n")[0] or type(error).__name__
    else:
        formulas = symbolic.formulas
        points, wrong = check(concrete, formulas, symbolic.free, symbolic.conditions)
        if wrong is None:
            notes = [
                f"the formulas do not hold at the values given: {condition} is asked for"
                for condition in symbolic.conditions
                if not holds(condition, known)
            ]
            if not notes:
                wrong = compare(formulas, flatten(concrete(known)), known)
        if wrong is None:
            return finish(concrete, formulas, symbolic.free, symbolic.conditions, points, notes)
        reason = wrong
    found = interpolate(lambda point: flatten(concrete(point)), free)
    points, wrong = check(concrete, found.formulas, found.free, ())
    if wrong is None:
        wrong = compare(found.formulas, flatten(concrete(known)), known)
    if wrong is not None:
        raise AccountError(f"no formula: {wrong}; keep a symbol at a number")
    near = tuple(replace(s, value=known[s.name]) for s in found.free)
    notes = [f"interpolated from {found.runs} runs: the symbolic run failed ({reason})"]
    more, wrong = check(concrete, found.formulas, near, ())
    if wrong is not None:
        notes.append(f"the formulas hold for large sizes: {wrong}")
    return finish(concrete, found.formulas, near, (), (*points, known, *more), notes)


def cache_by_point(counts: Callable[[Point], Sequence[T]]) -> Callable[[Point], Sequence[T]]:
    """`counts` that runs once a point."""
    known = cache(lambda items: counts(dict(items)))
    return lambda point: known(tuple(point.items()))


def finish(
    counts: Callable[[Point], Sequence[T]],
    formulas: Mapping[Any, sympy.Expr],
    free: tuple[Free, ...],
    conditions: tuple[sympy.Basic, ...],
    points: tuple[Point, ...],
    notes: Sequence[str],
) -> Formulas[T]:
    """Formulas put in their rows, with the conditions on remainders and the notes on them."""
    remainders = [sympy.Eq(sympy.Mod(s.symbol, s.step), s.residue) for s in free if s.step > 1]
    return Formulas(
        rows=tuple(fill(counts(points[0]), formulas)),
        free=free,
        conditions=(*remainders, *conditions),
        points=points,
        notes=(*notes, *notes_outside(counts, formulas, free), *notes_on_floors(formulas)),
    )


def flatten(rows: Sequence[Any]) -> dict[Any, Any]:
    """Every count of the rows by its place: row, its texts, field, and position in a tuple.

    The texts are part of the name, so that rows of another network are other counts.
    """
    found: dict[Any, Any] = {}
    for i, row in enumerate(rows):
        values = {field.name: getattr(row, field.name) for field in fields(row)}
        texts = tuple(value for value in values.values() if isinstance(value, str))
        for name, value in values.items():
            if isinstance(value, tuple):
                found.update({(i, texts, name, j): size for j, size in enumerate(value)})
            elif value is not None and not isinstance(value, str):
                found[i, texts, name] = value
    return found


def fill(rows: Sequence[T], formulas: Mapping[Any, sympy.Expr]) -> list[T]:
    """The rows with formulas for numbers, each in its shorter form."""
    names = iter(formulas)
    filled = []
    for row in rows:
        values: dict[str, Any] = {}
        for field in fields(row):  # type: ignore[arg-type]  # rows are dataclasses
            value = getattr(row, field.name)
            if isinstance(value, tuple):
                values[field.name] = tuple(shorten(formulas[next(names)]) for _ in value)
            elif value is not None and not isinstance(value, str):
                values[field.name] = shorten(formulas[next(names)])
        filled.append(replace(row, **values))  # type: ignore[type-var]
    return filled


def check(
    counts: Callable[[Point], Sequence[Any]],
    formulas: Mapping[Any, sympy.Expr],
    free: Sequence[Free],
    conditions: Sequence[sympy.Basic],
) -> tuple[tuple[Point, ...], str | None]:
    """The fresh points at which the formulas were compared, and the first disagreement, if any.

    AccountError where the network takes none of the points.
    """
    checked: list[Point] = []
    refusal = "no point meets the conditions"
    for point in fresh_points(free, conditions):
        try:
            truth = flatten(counts(point))
        except Exception as error:  # whatever a network raises at a size that does not suit it
            refusal = str(error)
            continue
        checked.append(point)
        wrong = compare(formulas, truth, point)
        if wrong is not None or len(checked) == CHECKS:
            return tuple(checked), wrong
    if not checked:
        names = ", ".join(symbol.name for symbol in free)
        raise AccountError(
            f"no formula in {names}: the network takes no other sizes ({refusal}); "
            "keep one of them at a number"
        )
    return tuple(checked), None


def compare(
    formulas: Mapping[Any, sympy.Expr], truth: Mapping[Any, int], point: Point
) -> str | None:
    """What differs between formulas and counts at a point, in words; None if nothing does."""
    place = ", ".join(f"{name} = {value}" for name, value in point.items())
    if truth.keys() != formulas.keys():
        return f"at {place} there are other layers"
    values = {formula: evaluate(formula, point) for formula in set(formulas.values())}
    for name, formula in formulas.items():
        if values[formula] != truth[name]:
            return f"at {place} {formula} is {values[formula]}, the network has {truth[name]}"
    return None


def fresh_points(free: Sequence[Free], conditions: Sequence[sympy.Basic]) -> Iterator[Point]:
    """Points that meet the conditions, none of them the known one; the same in every run."""
    random = Random(14)
    known = {symbol.name: symbol.value for symbol in free}
    for _ in range(8 * CHECKS):
        factor = random.choice(
            (1, 3)
        )  # odd, as most residues are; conditions may ask for large sizes
        point = {s.name: s.value * factor + s.step * random.choice(STRIDES) for s in free}
        if any(point[s.name] % s.step != s.residue for s in free):
            continue
        if point != known and all(holds(condition, point) for condition in conditions):
            yield point


def values_of(expression: sympy.Basic, point: Point) -> dict[sympy.Basic, sympy.Integer]:
    """The point's values for the symbols that an expression has."""
    return {symbol: sympy.Integer(point[symbol.name]) for symbol in expression.free_symbols}


def evaluate(formula: sympy.Expr, point: Point) -> sympy.Expr:
    """A formula's value at a point that names all its symbols, exact."""
    return formula.xreplace(values_of(formula, point))


def put_in(rows: Sequence[T], values: Mapping[str, Any]) -> tuple[T, ...]:
    """Rows of formulas with values, or other formulas, for some of their symbols."""
    put = {Free(name, 1).symbol: sympy.sympify(value) for name, value in values.items()}
    formulas = {key: sympy.sympify(value).xreplace(put) for key, value in flatten(rows).items()}
    return tuple(fill(rows, formulas))


@cache
def shorten(formula: sympy.Expr) -> sympy.Expr:
    """The formula as a sum or as a product, whichever is shorter to read."""
    total = sympy.expand(formula)
    forms = [total]
    if total.is_Add and total.is_polynomial():
        forms.append(sympy.factor(total))
    elif total.is_Add:
        forms.append(formula)
    return min(forms, key=lambda form: len(str(form)))


def notes_outside(
    counts: Callable[[Point], Sequence[Any]],
    formulas: Mapping[Any, sympy.Expr],
    free: Sequence[Free],
) -> list[str]:
    """What the formulas are worth at other remainders: one value is tried for each symbol."""
    notes = []
    known = {symbol.name: symbol.value for symbol in free}
    for symbol in free:
        if symbol.step == 1:
            continue
        point = {**known, symbol.name: symbol.value + 1}
        place = f"{symbol.name} = {symbol.value + 1}"
        try:
            wrong = compare(formulas, flatten(counts(point)), point)
        except Exception:  # whatever a network raises at a size that does not suit it
            notes.append(f"the network takes no {place}")
            continue
        if wrong is not None:
            notes.append(f"the formulas do not hold at {place}: {wrong}")
    return notes


def notes_on_floors(formulas: Mapping[Any, sympy.Expr]) -> list[str]:
    """Which symbols stand in floors and ceilings, and what must divide them for polynomials."""
    divisors: dict[str, int] = {}
    for formula in set(formulas.values()):
        for rounded in formula.atoms(sympy.floor, sympy.ceiling):
            for symbol in rounded.free_symbols:
                divisor = int(sympy.denom(sympy.together(rounded.args[0])))
                divisors[symbol.name] = int(sympy.lcm(divisors.get(symbol.name, 1), divisor))
    return [
        f"polynomial in {name} only where {divisor} divides it: floors and ceilings are exact"
        for name, divisor in sorted(divisors.items())
    ]


def to_text(formula: sympy.Expr) -> str:
    """A formula as a string that sympy reads."""
    return str(formula)


def from_text(text: str, names: Sequence[str]) -> sympy.Expr:
    """A formula of `to_text`; `names` are its symbols. AccountError for another name in it."""
    symbols = {name: Free(name, 1).symbol for name in names}
    formula = sympy.sympify(text, locals=symbols)
    for symbol in formula.free_symbols - set(symbols.values()):
        raise AccountError(f"formula {text}: {symbol} is not one of {', '.join(names)}")
    return formula


def to_latex(formula: sympy.Basic) -> str:
    """A formula in LaTeX; names of several letters stay words."""
    words = {
        symbol: rf"\mathit{{{symbol.name}}}" if len(symbol.name) > 1 else symbol.name
        for symbol in formula.free_symbols
    }
    latex: str = sympy.latex(formula, symbol_names=words)
    return latex
