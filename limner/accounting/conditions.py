"""Where formulas hold: what a run's branches asked of the symbols, in few words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import sympy
from sympy.core.relational import GreaterThan, LessThan, StrictGreaterThan, StrictLessThan

from limner.accounting.interpolate import STEPS, Free
from limner.errors import AccountError

WINDOW = 2 * STEPS[-1]  # values of a symbol at which a condition in it alone is looked at


def widen(symbol: Free, conditions: Sequence[sympy.Basic]) -> Free:
    """The symbol with the step for which the conditions in it alone hold by themselves.

    A condition is one on a remainder if it tells apart values by their remainder alone.
    AccountError if one holds at a single value.
    """
    for condition in conditions:
        if condition.free_symbols != {symbol.symbol}:
            continue
        truth = truth_of(condition, symbol)
        if truth.count(True) == 1:
            raise AccountError(
                f"{symbol.name} cannot be free: the network asks for {condition}; "
                f"keep {symbol.name} at a number"
            )
        for step in STEPS[1:]:
            classes = [set(truth[i::step]) for i in range(step)]
            if len(set(truth)) == 2 and all(len(values) == 1 for values in classes):
                return replace(symbol, step=max(step, symbol.step))
    return symbol


@cache
def truth_of(condition: sympy.Basic, symbol: Free) -> list[bool]:
    """Whether a condition in one symbol holds at 1, 2, ... WINDOW."""
    return [holds(condition, {symbol.name: n}) for n in range(1, WINDOW + 1)]


def holds(condition: sympy.Basic, point: Mapping[str, int]) -> bool:
    """Whether a condition is met at a point, which gives all its symbols a value."""
    values = {symbol: sympy.Integer(point[symbol.name]) for symbol in condition.free_symbols}
    try:
        return bool(condition.xreplace(values))
    except (TypeError, ValueError, ZeroDivisionError):  # not defined there: a remainder by 0
        return False


def simplify(conditions: Sequence[sympy.Basic], free: Sequence[Free]) -> tuple[sympy.Basic, ...]:
    """The conditions without those that always hold, or that follow from another.

    One in a single symbol that holds from some value on becomes a bound: H >= 3.
    """
    names = {symbol.symbol: symbol for symbol in free}
    kept: dict[sympy.Basic, sympy.Expr] = {}  # condition -> what it says is not negative
    for condition in conditions:
        if len(condition.free_symbols) == 1:
            condition = to_bound(condition, names[next(iter(condition.free_symbols))])
        slack = slack_of(condition, free)
        if condition == sympy.true or never_negative(slack):
            continue
        if any(follows(slack, other) for other in kept.values()):
            continue
        kept = {c: other for c, other in kept.items() if not follows(other, slack)}
        kept[condition] = slack
    return tuple(kept)


def to_bound(condition: sympy.Basic, symbol: Free) -> sympy.Basic:
    """symbol >= n, or True, if that is what the condition says of the symbol's values."""
    truth = truth_of(condition, symbol)
    values = range(symbol.residue or symbol.step, WINDOW + 1, symbol.step)
    false = [value for value in values if not truth[value - 1]]
    if not false:
        return sympy.true
    first = max(false) + symbol.step
    if first in values and not any(truth[value - 1] for value in values if value < first):
        return sympy.Ge(symbol.symbol, first)
    return condition


def slack_of(condition: sympy.Basic, free: Sequence[Free]) -> sympy.Expr | None:
    """For an inequality in the symbols, what it says is not negative; None for anything else.

    Written in numbers of steps from each symbol's least value, which are not negative themselves.
    """
    if not isinstance(condition, GreaterThan | LessThan | StrictGreaterThan | StrictLessThan):
        return None
    steps = {
        s.symbol: s.step * sympy.Symbol(f"steps_{s.name}", integer=True, nonnegative=True)
        + (s.residue or s.step)
        for s in free
    }
    slack = condition.gts - condition.lts
    if isinstance(condition, StrictGreaterThan | StrictLessThan):
        slack = slack - 1
    return sympy.expand(slack.xreplace(steps))


def never_negative(slack: sympy.Expr | None) -> bool:
    """Whether an expression in numbers of steps is seen to be 0 or above."""
    return slack is not None and bool(slack.is_nonnegative)


def follows(slack: sympy.Expr | None, other: sympy.Expr | None) -> bool:
    """Whether slack >= 0 is seen to follow from other >= 0."""
    if slack is None or other is None:
        return False
    return any(never_negative(sympy.expand(slack - other / n)) for n in (1, 2, 4, 8))


def describe(condition: sympy.Basic) -> str:
    """A condition in words: "k is odd", "4 divides H", or as it stands."""
    if isinstance(condition, sympy.Eq) and isinstance(condition.lhs, sympy.Mod):
        symbol, step = condition.lhs.args
        if condition.rhs == 0:
            return f"{step} divides {symbol}"
        if (step, condition.rhs) == (2, 1):
            return f"{symbol} is odd"
        return f"{symbol} leaves {condition.rhs} when divided by {step}"
    return str(condition)
