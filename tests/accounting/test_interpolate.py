"""Polynomials are found exactly from whole numbers, with the remainders for which they hold."""

from collections.abc import Mapping

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.accounting.interpolate import Free, Interpolation, interpolate
from limner.errors import AccountError

k, H, W, N = sympy.symbols("k H W N", integer=True, positive=True)
EXPONENTS = st.tuples(*[st.integers(0, 2)] * 3)


@given(st.dictionaries(EXPONENTS, st.integers(-9, 9), max_size=6))
@settings(max_examples=30, deadline=None)
def test_a_polynomial_comes_back(terms: dict[tuple[int, int, int], int]) -> None:
    def counts(point: Mapping[str, int]) -> dict[str, int]:
        value = sum(
            c * point["k"] ** a * point["H"] ** b * point["N"] ** d
            for (a, b, d), c in terms.items()
        )
        return {"x": value, "y": 2 * value + 1}

    found = interpolate(counts, [Free("k", 3), Free("H", 32), Free("N", 5)])
    wanted = sympy.Add(*(c * k**a * H**b * N**d for (a, b, d), c in terms.items()))
    assert sympy.expand(found.formulas["x"] - wanted) == 0
    assert sympy.expand(found.formulas["y"] - 2 * wanted - 1) == 0
    assert [symbol.step for symbol in found.free] == [1, 1, 1]


def in_H(count: int, symbol: Free) -> Interpolation:  # noqa: N802  # the symbol's name
    return interpolate(lambda point: {"x": -(-point["H"] // count)}, [symbol])


@pytest.mark.parametrize("count", [2, 8, 32, 64])
def test_a_ceiling_is_polynomial_where_its_divisor_divides(count: int) -> None:
    found = in_H(count, Free("H", 192))
    assert found.formulas["x"] == H / count
    assert found.free[0].step == count


def test_another_remainder_has_another_polynomial() -> None:
    found = in_H(4, Free("H", 33))
    assert found.formulas["x"] == (H + 3) / 4
    assert (found.free[0].step, found.free[0].residue) == (4, 1)


def test_a_step_that_was_given_is_kept() -> None:
    assert in_H(2, Free("H", 32, step=8)).free == (Free("H", 288, step=8),)


def test_what_looks_constant_from_near_is_no_constant() -> None:
    """A ceiling of H / 8 is 1 at 4, 5, 6 and 7: no run of sizes like these may decide."""
    assert in_H(8, Free("H", 8)).formulas["x"] == H / 8


def test_sizes_that_the_network_refuses_are_stepped_over() -> None:
    def counts(point: Mapping[str, int]) -> dict[str, int]:
        if point["k"] % 2 == 0:
            raise ValueError("k is even")
        return {"links": (point["k"] * point["H"] - (point["k"] ** 2 - 1) // 4) ** 2}

    found = interpolate(counts, [Free("k", 3), Free("H", 32)])
    assert sympy.expand(found.formulas["links"] - (k * H - (k**2 - 1) / 4) ** 2) == 0
    assert [symbol.step for symbol in found.free] == [2, 1]


def test_what_is_not_polynomial_is_refused() -> None:
    with pytest.raises(AccountError, match=r"no formula in N: counts are known at 5, no step"):
        interpolate(lambda point: {"x": 2 ** point["N"]}, [Free("N", 5)])
    with pytest.raises(AccountError, match=r"no formula in H.*other layers run"):
        interpolate(lambda point: dict.fromkeys(range(point["H"]), 1), [Free("H", 5)])
    with pytest.raises(AccountError, match=r"others fail \(only 7\); keep N at a number"):
        interpolate(only_seven, [Free("N", 7)])


def only_seven(point: Mapping[str, int]) -> dict[str, int]:
    if point["N"] != 7:
        raise RuntimeError("only 7")
    return {"x": 7}


def test_what_is_polynomial_in_each_symbol_and_not_in_both_is_refused() -> None:
    """The larger side is H where H alone grows, and W where W alone does."""
    with pytest.raises(AccountError, match="not in all at once"):
        interpolate(lambda point: {"x": max(point.values())}, [Free("H", 32), Free("W", 32)])


def test_few_runs() -> None:
    """Seven symbols would need 2,187 runs on a grid of three values each."""
    names = ["k", "a", "b", "c", "d", "e", "f"]

    def counts(point: Mapping[str, int]) -> dict[str, int]:
        product = 1
        for name in names:
            product *= point[name]
        return {"x": product * point["k"]}

    found = interpolate(counts, [Free(name, 4) for name in names])
    assert found.runs < 100
    assert len(found.formulas["x"].free_symbols) == 7
