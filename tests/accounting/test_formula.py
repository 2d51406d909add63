"""Formulas are checked where they were not made; what they do not hold for is said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import sympy

from limner.accounting.formula import (
    Formulas,
    derive,
    evaluate,
    from_text,
    put_in,
    shorten,
    to_latex,
    to_text,
)
from limner.accounting.interpolate import Free
from limner.errors import AccountError

k, H, NF = sympy.symbols("k H NF", integer=True, positive=True)


@dataclass(frozen=True)
class Count:
    """A row: a text, a count, a shape, and a count that there may not be."""

    layer: str
    weights: Any
    output: tuple[Any, ...]
    links: Any = None


def one(weights: Callable[..., Any], *free: Free) -> Formulas[Count]:
    """The formulas of a network of one layer with so many weights."""
    return derive(lambda point: [Count("a", weights(**point), (1, *point.values()))], free)


def test_rows_keep_their_texts_and_what_is_not_there() -> None:
    (row,) = one(lambda k, NF: k * k * NF, Free("k", 3), Free("NF", 32)).rows
    assert row == Count("a", k**2 * NF, (1, k, NF), None)


def test_formulas_are_checked_at_points_of_their_own() -> None:
    seen: list[Mapping[str, int]] = []

    def weights(H: int) -> int:
        seen.append({"H": H})
        return -(-H // 4)

    found = one(weights, Free("H", 32))
    assert found.rows[0].weights == sympy.ceiling(H / 4)
    assert len(found.points) == 3
    assert all(point in seen and point != {"H": 32} for point in found.points)
    assert {point["H"] % 4 for point in found.points} != {0}  # other remainders too
    assert found.notes == (
        "polynomial in H only where 4 divides it: floors and ceilings are exact",
    )


def test_a_plain_number_is_found_out_and_interpolated() -> None:
    """`int` makes a constant of a symbol: the fresh points show it."""
    found = one(lambda NF, k: int(NF) * k, Free("NF", 32), Free("k", 3))
    assert found.rows[0].weights == NF * k
    assert any("interpolated" in note and "the network has" in note for note in found.notes)


def test_symbols_that_are_refused_are_interpolated() -> None:
    def weights(NF: int) -> int:
        if not isinstance(NF, int):
            raise TypeError("NF must be an int")
        return NF**2 + NF // 2

    found = one(weights, Free("NF", 32))
    assert found.rows[0].weights == NF**2 + NF / 2
    assert found.free == (Free("NF", 32, step=2),)
    assert sympy.Eq(sympy.Mod(NF, 2), 0) in found.conditions
    assert "NF must be an int" in found.notes[0]
    assert any("do not hold at NF = 33" in note for note in found.notes)


def test_both_hands_find_the_same() -> None:
    def links(k: int, H: int, NF: int) -> int:
        return NF * (k * H - (k * k - 1) // 4) ** 2 + 7 * NF * H // 4

    free = Free("k", 3, 2), Free("H", 32, 4), Free("NF", 32)
    symbolic = one(links, *free)
    interpolated = one(lambda **point: links(**{n: forced(v) for n, v in point.items()}), *free)
    assert any("interpolated" in note for note in interpolated.notes)
    assert not any("interpolated" in note for note in symbolic.notes)
    difference = symbolic.rows[0].weights - interpolated.rows[0].weights
    assert sympy.expand(difference) == 0


def forced(value: Any) -> int:
    """A plain number, or a refusal."""
    if type(value) is not int:
        raise TypeError("give an int")
    return value


def test_a_branch_that_the_values_given_do_not_take_is_said() -> None:
    found = one(lambda k, NF: 1 if k == NF else k * NF, Free("k", 8), Free("NF", 8))
    assert found.rows[0].weights == k * NF
    assert found.conditions == (sympy.Ne(k, NF),)
    assert any("do not hold at the values given" in note for note in found.notes)


def test_remainders_that_the_network_refuses_are_said() -> None:
    def weights(k: int) -> int:
        if k % 2 == 0:
            raise ValueError("k is even")
        return k * k

    found = one(weights, Free("k", 3))
    assert found.conditions == (sympy.Eq(sympy.Mod(k, 2), 1),)
    assert found.notes == ("the network takes no k = 4",)


def test_what_has_no_formula_is_an_error() -> None:
    with pytest.raises(AccountError, match="no formula in H"):
        one(lambda H: 2 ** forced(H), Free("H", 8))

    def only_eight(H: int) -> int:
        if forced(H) != 8:
            raise ValueError("only 8")
        return H

    with pytest.raises(AccountError, match=r"no formula in H: .* others fail \(only 8\)"):
        one(only_eight, Free("H", 8))


def test_what_is_wrong_at_plain_numbers_is_said_as_it_is() -> None:
    def weights(k: int) -> int:
        raise AccountError("conv wanted 3 channels")

    with pytest.raises(AccountError, match=r"^conv wanted 3 channels$"):
        one(weights, Free("k", 3))


def test_layers_that_come_and_go_have_no_formulas_and_their_sum_has() -> None:
    depth = [Free("k", 3)]
    with pytest.raises(AccountError, match="other layers run"):
        derive(lambda point: [Count(str(i), 9, ()) for i in range(point["k"])], depth)
    total = derive(lambda point: [Count("", sum(9 for _ in range(point["k"])), ())], depth)
    assert total.rows[0].weights == 9 * k


def test_values_are_put_in_for_some_symbols() -> None:
    rows = [Count("a", k**2 * NF, (1, NF, H))]
    assert put_in(rows, {"k": 3, "H": 2 * H}) == (Count("a", 9 * NF, (1, NF, 2 * H)),)


def test_the_shorter_of_sum_and_product() -> None:
    assert shorten(NF * (k * (H + 1) - k)) == H * NF * k
    assert str(shorten((4 * H * k - k**2 + 1) ** 2 / 16)).count("H") == 1
    assert shorten(sympy.ceiling(H / 2) * 3) == 3 * sympy.ceiling(H / 2)


def test_texts_come_back() -> None:
    formula = NF * sympy.ceiling(H / 4) ** 2 + k**2 / 2
    assert from_text(to_text(formula), ["NF", "H", "k"]) == formula
    assert evaluate(sympy.sympify(to_text(k**2 * NF)), {"k": 3, "NF": 32}) == 288
    with pytest.raises(AccountError, match="NF is not one of k, H"):
        from_text("NF + k", ["k", "H"])


def test_latex_keeps_names_whole() -> None:
    assert to_latex(k**2 * NF) == r"\mathit{NF} k^{2}"
    assert to_latex(sympy.ceiling(H / 4)) == r"\left\lceil{\frac{H}{4}}\right\rceil"
