"""Polynomials with exact coefficients: from values at points, and from coefficients at values."""

from collections.abc import Sequence
from fractions import Fraction
from math import prod

import sympy

from limner.errors import AccountError

ZERO = Fraction(0)
Polynomial = dict[tuple[int, ...], Fraction]  # exponents of the symbols -> coefficient


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
