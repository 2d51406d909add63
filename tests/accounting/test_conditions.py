"""Conditions become few and readable: remainders, bounds, and what does not follow from others."""

import pytest
import sympy

from limner.accounting.conditions import describe, holds, simplify, widen
from limner.accounting.interpolate import Free
from limner.errors import AccountError

k, H, W = sympy.symbols("k H W", integer=True, positive=True)
FREE = [Free("k", 3, 2), Free("H", 32, 4), Free("W", 33)]


@pytest.mark.parametrize(
    ("condition", "symbol", "step"),
    [
        (sympy.Ne(sympy.Mod(k, 2), 0), Free("k", 3), 2),
        (sympy.Eq(sympy.Mod(H, 4), 0), Free("H", 32), 4),
        (sympy.Eq(2 * sympy.floor(H / 2), H), Free("H", 32), 2),
        (sympy.Ge(H, 3), Free("H", 32), 1),  # a bound is no remainder
        (sympy.Ne(sympy.Mod(k, 2), 0), Free("H", 32), 1),
    ],
)
def test_a_condition_on_a_remainder_becomes_a_step(
    condition: sympy.Basic, symbol: Free, step: int
) -> None:
    assert widen(symbol, [condition]).step == step


def test_a_single_size_cannot_be_free() -> None:
    with pytest.raises(AccountError, match="H cannot be free: the network asks for"):
        widen(Free("H", 56), [sympy.Eq(H, 56)])


def test_what_always_holds_is_left_out() -> None:
    always = [sympy.Ge(k, 1), sympy.Ge(H, 4), sympy.Le(k / 2 - sympy.Rational(1, 2), k - 1)]
    assert simplify(always, FREE) == ()
    assert simplify([sympy.Ge(W, 4), sympy.Ge(H, 8)], FREE) == (sympy.Ge(W, 4), sympy.Ge(H, 8))


def test_the_strongest_of_several_is_kept() -> None:
    radius = (k - 1) / 2
    weak, strong = sympy.Ge(H, radius), sympy.Ge(H / 4, radius)
    assert simplify([weak, strong, weak], FREE) == (strong,)
    assert simplify([strong, weak], FREE) == (strong,)


def test_a_condition_in_one_symbol_becomes_a_bound() -> None:
    assert simplify([sympy.Ge(2 * sympy.ceiling(W / 2), 3)], FREE) == (sympy.Ge(W, 3),)


def test_what_is_no_inequality_stays() -> None:
    assert simplify([sympy.Ne(H, W), sympy.Ne(H, W)], FREE) == (sympy.Ne(H, W),)


def test_conditions_in_words() -> None:
    assert describe(sympy.Eq(sympy.Mod(k, 2), 1)) == "k is odd"
    assert describe(sympy.Eq(sympy.Mod(H, 4), 0)) == "4 divides H"
    assert describe(sympy.Eq(sympy.Mod(H, 4), 3)) == "H leaves 3 when divided by 4"
    assert describe(sympy.Ge(H, 3)) == "H >= 3"


def test_a_condition_that_is_not_defined_does_not_hold() -> None:
    remainder = sympy.Eq(sympy.Mod(8, k - 2), 0)
    assert [holds(remainder, {"k": n}) for n in (2, 3, 4, 5)] == [False, True, True, False]
