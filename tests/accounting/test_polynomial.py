"""Linear systems in fractions: what is determined is exact, and what contradicts itself is said."""

from fractions import Fraction

import pytest

from limner.accounting.polynomial import Polynomial, join, rank, solve
from limner.errors import AccountError

LINE = [(0,), (1,)]


def test_coefficients_are_exact() -> None:
    assert solve([[1], [4]], LINE, [1, 2]) == {(0,): Fraction(2, 3), (1,): Fraction(1, 3)}


def test_a_further_point_must_agree() -> None:
    assert solve([[1], [4], [7]], LINE, [1, 2, 3])[(1,)] == Fraction(1, 3)
    with pytest.raises(AccountError, match="not in all at once"):
        solve([[1], [4], [7]], LINE, [1, 2, 4])


def test_points_that_coincide_tell_nothing_apart() -> None:
    assert rank([[2], [2]], LINE) == 1
    assert rank([[2], [3]], LINE) == 2


def test_slices_are_joined_by_their_polynomial() -> None:
    """Coefficients 1, 4, 9 at 1, 2, 3 are the square; one that stays 5 gets no new power."""
    slices: list[Polynomial] = [{(1, 0): Fraction(n * n), (0, 0): Fraction(5)} for n in (1, 2, 3)]
    assert join(1, [1, 2, 3], slices) == {(1, 2): Fraction(1), (0, 0): Fraction(5)}
