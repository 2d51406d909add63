"""The largest value within a limit, against a search through all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.accounting.account import account
from limner.accounting.solve import Limit, parse_limit, solve
from limner.errors import AccountError
from limner.networks.unet import UNet


def odd_only(value: int) -> int:
    if value % 2 == 0:
        raise AccountError("even")
    return value**2


def large_only(value: int) -> int:
    if value < 7:
        raise AccountError("too small")
    return 10 * value


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(3, 5000))
def test_the_largest_value_of_all(start: int, most: int) -> None:
    found = solve("n", start, lambda n: 3 * n, Limit("parameters", most))
    assert found.value == most // 3
    assert (found.next_value, found.next_count) == (found.value + 1, 3 * found.value + 3)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 20_000))
def test_values_that_the_network_refuses_are_left_out(half: int, most: int) -> None:
    found = solve("k", 2 * half + 1, odd_only, Limit("connections", most))
    assert found.value == max(n for n in range(1, 201, 2) if n == 1 or n * n <= most)
    assert found.next_value == found.value + 2


def test_a_symbol_that_cannot_be_small() -> None:
    assert solve("H", 40, large_only, Limit("saved", 89)).value == 8
    with pytest.raises(AccountError, match="no H meets saved <= 9"):
        solve("H", 40, large_only, Limit("saved", 9))


def test_a_limit_that_nothing_meets() -> None:
    with pytest.raises(AccountError, match="no n meets parameters <= 2: at n = 1 it is 3; raise"):
        solve("n", 20, lambda n: 3 * n, Limit("parameters", 2))


def test_a_limit_that_everything_meets() -> None:
    with pytest.raises(AccountError, match="every H meets parameters <= 9: parameters stays 5"):
        solve("H", 32, lambda n: 5, Limit("parameters", 9))


def test_what_is_wrong_at_the_start_is_said() -> None:
    with pytest.raises(AccountError, match="even"):
        solve("k", 4, odd_only, Limit("connections", 100))


def test_a_network_that_takes_one_value() -> None:
    def only(value: int) -> int:
        if value != 224:
            raise AccountError("wrong image height")
        return 1

    with pytest.raises(AccountError, match="no values near 224 but that"):
        solve("H", 224, only, Limit("saved", 100))


def test_on_a_network() -> None:
    def count(width: int) -> int:
        return account(UNet, arguments={"NF": width}, input=(1, 8, 8)).totals.parameters

    found = solve("NF", 32, count, parse_limit("parameters<=2e5"))
    assert count(found.value) == found.count <= 200_000 < found.next_count
    assert found.document() == {
        "symbol": "NF", "value": found.value, "quantity": "parameters", "limit": 200_000,
        "count": found.count, "next": {"value": found.value + 1, "count": found.next_count},
    }  # fmt: skip
    assert str(found).startswith(f"NF = {found.value}: parameters {found.count:,}, at most 200,000")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("parameters<=1e6", Limit("parameters", 1_000_000)),
        (" saved <= 1,000,000 ", Limit("saved", 1_000_000)),
        ("step<2_000", Limit("step", 1999)),
        ("links<2.5", Limit("links", 2)),
        ("links<=2.5", Limit("links", 2)),
        ("links<=9007199254740993", Limit("links", 2**53 + 1)),
    ],
)
def test_limits(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize(
    "text", ["parameters", "parameters<=", "parameters>=3", "parameters=3", "parameters<=-3",
             "parameters<=1e999", "parameters<=many", "parameters<=1.2.3", "params<=3", ""],
)  # fmt: skip
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(AccountError, match="limit") as caught:
        parse_limit(text)
    assert "\n" not in str(caught.value)
