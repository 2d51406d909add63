"""The largest whole value of a symbol at which a network stays within a limit."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from limner.accounting.tables import KINDS, header
from limner.errors import AccountError, LimnerError

STEPS = (1, 2, 4, 8, 16, 32, 64)  # what networks ask of sizes: odd kernels, strides
Count = Callable[[int], int]  # the symbol's value -> what is limited


@dataclass(frozen=True)
class Limit:
    """quantity <= most: "parameters<=1e6". quantity: a name in KINDS."""

    quantity: str
    most: int

    def __str__(self) -> str:
        return f"{self.quantity} <= {self.most:,}"


@dataclass(frozen=True)
class Solution:
    """The largest value with its count, and the next value with its, which is above the limit."""

    symbol: str
    limit: Limit
    value: int
    count: int
    next_value: int
    next_count: int

    def __str__(self) -> str:
        cost = header(self.limit.quantity)
        return (
            f"{self.symbol} = {self.value:,}: {cost} {self.count:,}, at most "
            f"{self.limit.most:,} ({self.symbol} = {self.next_value:,}: {self.next_count:,})"
        )

    def document(self) -> dict[str, Any]:
        """The solution for JSON."""
        return {
            "symbol": self.symbol,
            "value": self.value,
            "quantity": self.limit.quantity,
            "limit": self.limit.most,
            "count": self.count,
            "next": {"value": self.next_value, "count": self.next_count},
        }


def parse_limit(text: str) -> Limit:
    """ "NAME<=NUMBER" or "NAME<NUMBER", with 1e6 or 1,000,000. AccountError for anything else."""
    match = re.fullmatch(r"\s*(\w+)\s*(<=|<)\s*([\d.,_]+(?:[eE]\+?\d{1,2})?)\s*", text)
    if match is None:
        raise AccountError(f"limit {text!r}; give a name, <= and a number: parameters<=1e6")
    quantity, sign, number = match.groups()
    if quantity not in KINDS:
        raise AccountError(f"limit on {quantity!r}, which is not known; limit {', '.join(KINDS)}")
    try:
        most = Decimal(number.replace(",", "").replace("_", ""))
    except InvalidOperation as error:
        raise AccountError(f"limit {text!r}: {number} is not a number; give 1e6, say") from error
    return Limit(quantity, math.ceil(most) - 1 if sign == "<" else math.floor(most))


def solve(symbol: str, start: int, count: Count, limit: Limit) -> Solution:
    """The largest value with count(value) <= limit, by doubling steps, then bisection.

    start: a value that works. Values are start + n * step, where step is the smallest of STEPS that
    the network takes (2 for an odd kernel). The count must not fall as the value grows.
    AccountError where no value meets the limit and where all do.
    """
    counted = cache(count)
    step = find_step(start, counted)
    below, above = bracket(symbol, start, step, counted, limit)
    while above - below > step:
        middle = below + (above - below) // (2 * step) * step
        if counted(middle) <= limit.most:
            below = middle
        else:
            above = middle
    return Solution(symbol, limit, below, counted(below), above, counted(above))


def find_step(start: int, count: Count) -> int:
    """The smallest step from the start at which the network can be counted twice."""
    count(start)  # what is wrong at the start is said as it is
    for step in STEPS:
        try:
            count(start + step)
            count(start + 3 * step)
        except LimnerError:  # the network takes no such size
            continue
        return step
    raise AccountError(
        f"the network takes no values near {start} but that; solve for another symbol"
    )


def bracket(symbol: str, start: int, step: int, count: Count, limit: Limit) -> tuple[int, int]:
    """A value within the limit and a larger one above it."""
    if count(start) > limit.most:
        lowest = find_lowest(start, step, count)
        if count(lowest) > limit.most:
            raise AccountError(
                f"no {symbol} meets {limit}: at {symbol} = {lowest} it is "
                f"{count(lowest):,}; raise the limit"
            )
        return lowest, start
    below, reach = start, step
    while count(below + reach) <= limit.most:
        if count(below + reach) == count(start):
            raise AccountError(
                f"every {symbol} meets {limit}: {limit.quantity} stays {count(start):,}; "
                "limit what grows with it"
            )
        below, reach = below + reach, 2 * reach
    return below, below + reach


def find_lowest(start: int, step: int, count: Count) -> int:
    """A low value that the network takes: the least of all, or the first that is not too small."""
    lowest, reach = start % step or step, step
    while lowest < start:
        try:
            count(lowest)
        except LimnerError:  # too small for the network
            lowest, reach = lowest + reach, 2 * reach
        else:
            return lowest
    return start
