"""Exact polynomials from runs with whole numbers, where a network refuses symbols.

Every count of a network is a polynomial in its sizes as long as no floor, ceiling or branch cuts
in. The polynomial is found from counts at chosen points, in fractions (no rounding anywhere):
first the degree in each symbol alone, then the terms, one symbol after another, solving only for
those that earlier symbols left (sparse interpolation: Zippel 1979).
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import prod
from random import Random

import sympy

from limner.errors import AccountError

Counts = Mapping[Hashable, int]  # one run: the name of a count -> its value
Polynomial = dict[tuple[int, ...], Fraction]  # exponents of the symbols -> coefficient

STEPS = (1, 2, 4, 8, 16, 32, 64)  # tried in this order: strides are powers of two
SPREADS = (7, 3, 1)  # steps between two runs; wide first, for a floor looks constant from near
PROBES = (1, 2, 4, 19)  # steps at which a polynomial is tried: a floor may look linear from afar
MOST_DEGREE = 6
ZERO = Fraction(0)


@dataclass(frozen=True)
class Free:
    """A symbol that stays free: its name, a value that works, and the values it may take.

    These are value + step * n, so that a formula may hold for odd k alone (value 3, step 2) or
    where 4 divides H (value 32, step 4).
    """

    name: str
    value: int
    step: int = 1

    @property
    def residue(self) -> int:
        """What all the values leave over when the step divides them."""
        return self.value % self.step

    @property
    def symbol(self) -> sympy.Symbol:
        """The symbol as sympy has it: a positive whole number."""
        return sympy.Symbol(self.name, integer=True, positive=True)


@dataclass(frozen=True)
class Interpolation:
    """The formulas found, the symbols with the steps that they hold for, and how many runs."""

    formulas: dict[Hashable, sympy.Expr]
    free: tuple[Free, ...]
    runs: int


class Runs:
    """Counts at points, each run once."""

    def __init__(self, counts: Callable[[Mapping[str, int]], Counts]) -> None:
        self.counts = counts
        self.done: dict[tuple[tuple[str, int], ...], Counts] = {}

    def at(self, point: Mapping[str, int]) -> Counts:
        """The counts at a point; whatever the network raises there passes through."""
        key = tuple(sorted(point.items()))
        if key not in self.done:
            self.done[key] = self.counts(point)
        return self.done[key]


def interpolate(
    counts: Callable[[Mapping[str, int]], Counts], free: Sequence[Free]
) -> Interpolation:
    """The polynomial of every count in the free symbols, from runs with whole numbers.

    counts: one run at a point (symbol's name -> value >= 1) -> name of a count -> its value; the
    names must be the same in every run. A symbol's step grows (a power of two, to 64) until the
    counts are polynomials in it. AccountError if they never are.
    """
    runs = Runs(counts)
    anchor = {symbol.name: symbol.value for symbol in free}
    found: list[Free] = []
    nodes: list[list[int]] = []
    for symbol in free:
        widened, values = sample(runs, symbol, anchor)
        found.append(widened)
        nodes.append(values)
    polynomials: dict[Hashable, Polynomial] = {
        name: {(0,) * len(free): Fraction(value)} if value else {}
        for name, value in runs.at(anchor).items()
    }
    for i in range(len(free)):
        polynomials = add_symbol(runs, i, free, nodes, polynomials)
    symbols = [symbol.symbol for symbol in free]
    formulas = {name: to_sympy(terms, symbols) for name, terms in polynomials.items()}
    return Interpolation(formulas, tuple(found), len(runs.done))


def sample(runs: Runs, symbol: Free, anchor: Mapping[str, int]) -> tuple[Free, list[int]]:
    """The symbol with the smallest step for which all counts are polynomials in it alone.

    With it the values for an interpolation: one more than the highest degree.
    """
    refusal: Exception | None = None
    for factor in STEPS:
        widened = replace(symbol, step=symbol.step * factor)
        for spread in SPREADS:
            values: list[int] = []
            columns: list[Counts] = []
            try:
                for n in range(MOST_DEGREE + 3):
                    values.append(symbol.value + n * spread * widened.step)
                    columns.append(runs.at({**anchor, symbol.name: values[-1]}))
                    degree = n - 2
                    if degree >= 0 and are_polynomials(columns, degree):
                        values, columns = values[: degree + 1], columns[: degree + 1]
                        if all(
                            runs.at({**anchor, symbol.name: x}) == extend(values, columns, x)
                            for x in (symbol.value + n * widened.step for n in PROBES)
                        ):
                            return widened, values
                        break
            except Exception as error:  # whatever a network raises at a size that does not suit it
                refusal = error
    reason = f"the network refuses others ({refusal})" if refusal else "no step gives a polynomial"
    raise AccountError(
        f"no formula in {symbol.name}: counts are known at {symbol.value}, {reason}; "
        f"keep {symbol.name} at a number"
    ) from refusal


def are_polynomials(columns: Sequence[Counts], degree: int) -> bool:
    """Whether every count, at equally spaced values, is a polynomial of at most this degree.

    All its differences of the next order are then 0; callers give enough values for two of them.
    """
    names = columns[0].keys()
    if any(column.keys() != names for column in columns):
        return False
    for name in names:
        differences = [column[name] for column in columns]
        for _ in range(degree + 1):
            differences = [b - a for a, b in pairwise(differences)]
        if any(differences):
            return False
    return True


def extend(values: Sequence[int], columns: Sequence[Counts], x: int) -> dict[Hashable, Fraction]:
    """The counts at x by the polynomials through those at `values` (Lagrange)."""
    weights = [
        prod(
            (Fraction(x - other, value - other) for other in values if other != value),
            start=Fraction(1),
        )
        for value in values
    ]
    return {
        name: sum((w * column[name] for w, column in zip(weights, columns, strict=True)), ZERO)
        for name in columns[0]
    }


def add_symbol(
    runs: Runs,
    i: int,
    free: Sequence[Free],
    nodes: Sequence[Sequence[int]],
    polynomials: Mapping[Hashable, Polynomial],
) -> dict[Hashable, Polynomial]:
    """Polynomials in the symbols before the i-th, the others at their value -> in the i-th too.

    At each further value of the i-th symbol the same terms in the symbols before it get other
    coefficients; every coefficient is then a polynomial in the i-th.
    """
    points = choose_points(i, free, nodes, {tuple(terms) for terms in polynomials.values()})
    slices = [polynomials]
    for value in nodes[i][1:]:
        columns = [
            runs.at(
                {
                    symbol.name: point[j] if j < i else value if j == i else symbol.value
                    for j, symbol in enumerate(free)
                }
            )
            for point in points
        ]
        slices.append(
            {
                name: solve(points, list(terms), [column[name] for column in columns])
                for name, terms in polynomials.items()
            }
        )
    return {name: join(i, nodes[i], [part[name] for part in slices]) for name in polynomials}


def choose_points(
    i: int,
    free: Sequence[Free],
    nodes: Sequence[Sequence[int]],
    supports: set[tuple[tuple[int, ...], ...]],
) -> list[list[int]]:
    """Values of the first i symbols that tell apart the terms of every support."""
    random = Random(i)
    points = [[symbol.value for symbol in free[:i]]]
    pending = list(supports)
    while pending:
        if rank(points, pending[-1]) == len(pending[-1]):
            pending.pop()
        else:  # nodes are equally spaced; one alone means that no count knows the symbol
            points.append(
                [
                    values[0] + random.randrange(len(values) + 3) * (values[1] - values[0])
                    if len(values) > 1
                    else values[0]
                    for values in nodes[:i]
                ]
            )
    return points


def power(point: Sequence[int], exponents: Sequence[int]) -> Fraction:
    """The value of a term with coefficient 1; exponents of later symbols are 0."""
    return Fraction(prod(x**e for x, e in zip(point, exponents, strict=False)))


def rank(points: Sequence[Sequence[int]], support: Sequence[tuple[int, ...]]) -> int:
    """How many of the terms the points tell apart."""
    return len(eliminate([[power(point, term) for term in support] for point in points], 0))


def solve(
    points: Sequence[Sequence[int]], support: Sequence[tuple[int, ...]], values: Sequence[int]
) -> Polynomial:
    """The coefficients of the terms in `support` that give these values at the points.

    AccountError where none do: the count is then no polynomial in all symbols at once.
    """
    rows = [
        [*(power(point, term) for term in support), Fraction(value)]
        for point, value in zip(points, values, strict=True)
    ]
    pivots = eliminate(rows, 1)
    if any(row[-1] and not any(row[:-1]) for row in rows):
        raise AccountError(
            "no formula: a count is a polynomial in each symbol alone and not in all at once; "
            "keep one of them at a number"
        )
    return {support[column]: row[-1] for column, row in pivots.items()}


def eliminate(rows: list[list[Fraction]], beside: int) -> dict[int, list[Fraction]]:
    """Gauss and Jordan, in place; the last `beside` columns are no unknowns. Pivot -> its row."""
    pivots: dict[int, list[Fraction]] = {}
    waiting = list(rows)
    for column in range(len(rows[0]) - beside if rows else 0):
        row = next((row for row in waiting if row[column]), None)
        if row is None:
            continue
        waiting = [other for other in waiting if other is not row]
        row[:] = [x / row[column] for x in row]
        for other in rows:
            if other is not row and (factor := other[column]):
                other[:] = [x - factor * y for x, y in zip(other, row, strict=True)]
        pivots[column] = row
    return pivots


def join(i: int, values: Sequence[int], slices: Sequence[Polynomial]) -> Polynomial:
    """Lagrange's polynomial in the i-th symbol through every coefficient of the slices."""
    result: Polynomial = {}
    for n, terms in enumerate(slices):
        basis = [Fraction(1)]  # coefficients by power: 1 at the n-th value, 0 at the others
        for m, value in enumerate(values):
            if m != n:
                scale = Fraction(1, values[n] - value)
                shifted = [ZERO, *basis]
                basis = [
                    scale * (high - value * low)
                    for high, low in zip(shifted, [*basis, ZERO], strict=True)
                ]
        for term, coefficient in terms.items():
            for exponent, factor in enumerate(basis):
                key = (*term[:i], exponent, *term[i + 1 :])
                result[key] = result.get(key, ZERO) + coefficient * factor
    return {term: coefficient for term, coefficient in result.items() if coefficient}


def to_sympy(polynomial: Polynomial, symbols: Sequence[sympy.Symbol]) -> sympy.Expr:
    """The polynomial as sympy has it, exact."""
    return sympy.Add(
        *(
            sympy.Rational(coefficient.numerator, coefficient.denominator)
            * sympy.Mul(*(x**e for x, e in zip(symbols, exponents, strict=True)))
            for exponents, coefficient in polynomial.items()
        )
    )
