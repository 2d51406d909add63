"""Exact polynomials from runs with whole numbers, where a network refuses symbols.

Every count of a network is a polynomial in its sizes as long as no floor, ceiling or branch cuts
in. The polynomial is found from counts at chosen points, in fractions (no rounding anywhere):
first the degree in each symbol alone, then the terms, one symbol after another, solving only for
those that earlier symbols left (sparse interpolation: Zippel 1979).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import prod
from random import Random
from typing import Any

import sympy

from limner.accounting.polynomial import ZERO, Polynomial, join, rank, solve, to_sympy
from limner.errors import AccountError

Counts = Mapping[Any, int]  # one run: the name of a count -> its value

STEPS = (1, 2, 4, 8, 16, 32, 64)  # tried in this order: strides are powers of two
SPREADS = (7, 1)  # steps between two runs; wide first, for a floor looks constant from near
FACTORS = (9, 1)  # runs begin far out, where a kernel is small beside a picture
PROBES = (1, 2, 4, 19)  # steps at which a polynomial is tried: a floor may look linear from afar
MOST_DEGREE = 4  # in one symbol: the real links in k; those of attention in a side are 2


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
    """The formulas found, and how many runs it took.

    free: the symbols with the steps that the formulas hold for, and values around which the runs
    were: multiples of those given.
    """

    formulas: dict[Any, sympy.Expr]
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
    failure: AccountError | None = None
    for factor in FACTORS:
        far = [replace(symbol, value=symbol.value * factor) for symbol in free]
        if any(a.residue != b.residue for a, b in zip(far, free, strict=True)):
            continue
        try:
            return interpolate_around(runs, far)
        except AccountError as error:
            failure = error
    raise failure or AccountError("no formula: the steps do not fit the values")


def interpolate_around(runs: Runs, free: Sequence[Free]) -> Interpolation:
    """The polynomials from runs at the symbols' values and above."""
    anchor = {symbol.name: symbol.value for symbol in free}
    sampled = [sample(runs, symbol, anchor) for symbol in free]
    nodes = [values for _, values in sampled]
    polynomials: Mapping[Any, Polynomial] = {
        name: {(0,) * len(free): Fraction(value)} if value else {}
        for name, value in runs.at(anchor).items()
    }
    for i in range(len(free)):
        polynomials = add_symbol(runs, i, free, nodes, polynomials)
    symbols = [symbol.symbol for symbol in free]
    formulas = {name: to_sympy(terms, symbols) for name, terms in polynomials.items()}
    return Interpolation(formulas, tuple(symbol for symbol, _ in sampled), len(runs.done))


def sample(runs: Runs, symbol: Free, anchor: Mapping[str, int]) -> tuple[Free, list[int]]:
    """The symbol with the smallest step for which all counts are polynomials in it alone.

    With it the values for an interpolation: one more than the highest degree.
    """
    reason = "no step gives a polynomial"
    for factor in STEPS:
        widened = replace(symbol, step=symbol.step * factor)
        for spread in SPREADS:
            try:
                values = sample_at(runs, widened, anchor, spread)
            except Exception as error:  # whatever a network raises at a size that does not suit it
                reason = f"others fail ({error})"
                continue
            if values:
                return widened, values
    raise AccountError(
        f"no formula in {symbol.name}: counts are known at {anchor[symbol.name]}, {reason}; "
        f"keep {symbol.name} at a number"
    )


def sample_at(runs: Runs, symbol: Free, anchor: Mapping[str, int], spread: int) -> list[int]:
    """Values of the symbol, `spread` steps apart, that give the polynomials; none if none do."""
    values: list[int] = []
    columns: list[Counts] = []
    for n in range(MOST_DEGREE + 3):
        values.append(symbol.value + n * spread * symbol.step)
        columns.append(runs.at({**anchor, symbol.name: values[-1]}))
        if columns[-1].keys() != columns[0].keys():
            raise AccountError(f"at {values[-1]} other layers run")
        degree = n - 2
        if degree >= 0 and are_polynomials(columns, degree):
            values, columns = values[: degree + 1], columns[: degree + 1]
            probes = [symbol.value + n * symbol.step for n in PROBES]
            holds = all(
                runs.at({**anchor, symbol.name: x}) == extend(values, columns, x) for x in probes
            )
            return values if holds else []
    return []


def are_polynomials(columns: Sequence[Counts], degree: int) -> bool:
    """Whether every count, at equally spaced values, is a polynomial of at most this degree.

    All its differences of the next order are then 0; callers give enough values for two of them.
    """
    for name in columns[0]:
        differences = [column[name] for column in columns]
        for _ in range(degree + 1):
            differences = [b - a for a, b in pairwise(differences)]
        if any(differences):
            return False
    return True


def extend(values: Sequence[int], columns: Sequence[Counts], x: int) -> dict[Any, Fraction]:
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
    polynomials: Mapping[Any, Polynomial],
) -> dict[Any, Polynomial]:
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
    """Values of the first i symbols that tell apart the terms of every support, and one more.

    The surplus shows a term that the others miss because it is 0 at the value of a symbol.
    """
    random = Random(i)
    points = [[symbol.value for symbol in free[:i]]]
    pending = list(supports)
    surplus = 1 if i else 0
    while pending or surplus:
        if pending and rank(points, pending[-1]) == len(pending[-1]):
            pending.pop()
            continue
        if not pending:
            surplus -= 1
        points.append([draw(values, random) for values in nodes[:i]])
    return points


def draw(values: Sequence[int], random: Random) -> int:
    """One of equally spaced values, or a little beyond; the only one where no count knows it."""
    if len(values) == 1:
        return values[0]
    return values[0] + random.randrange(1, len(values) + 3) * (values[1] - values[0])
