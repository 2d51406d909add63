"""torch's own functions of whole numbers as sympy's, in forms that can be compared and read."""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import sympy
from torch.utils._sympy import functions as theirs

from limner.errors import AccountError

MOST_CLASSES = 64  # remainders of all symbols together that `divides` looks at


@cache
def to_plain(expression: sympy.Basic) -> Any:
    """torch's own functions of whole numbers as sympy's, which readers know."""
    if not expression.args:
        if isinstance(expression, sympy.Float):
            return sympy.Rational(float(expression))
        return expression
    args = [to_plain(argument) for argument in expression.args]
    if expression.func in FUNCTIONS:
        return FUNCTIONS[expression.func](*args)
    if expression.func.__module__ == theirs.__name__:
        raise AccountError(
            f"{expression.func.__name__} has no formula; keep its symbols at numbers"
        )
    return expression.func(*args)


def floor_quotient(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """floor(a / b) in a form of its own: floor((H - 1) / 2) is ceiling(H / 2) - 1."""
    if divides(b, a):
        return a / b
    if a.could_extract_minus_sign():
        return -ceiling_quotient(-a, b)
    if b.is_Integer and b > 1 and a.as_coeff_Add()[0] % b == b - 1:
        return sympy.ceiling(sympy.expand((a + 1) / b)) - 1
    if b == 2:
        return a - sympy.ceiling(sympy.expand(a / b))
    return sympy.floor(sympy.expand(a / b))


def divides(b: sympy.Expr, a: sympy.Expr) -> bool:
    """Whether the number b divides the polynomial a whatever its symbols are: 2 and q (q + 1), say.

    A polynomial with whole coefficients has the same remainder at n as at n + b.
    """
    rounded = {part: sympy.Dummy(integer=True) for part in a.atoms(sympy.floor, sympy.ceiling)}
    a = a.xreplace(rounded)
    symbols = sorted(a.free_symbols, key=str)
    if not symbols or not b.is_Integer or b ** len(symbols) > MOST_CLASSES:
        return False
    if not a.is_polynomial(*symbols):
        return False
    if not all(coefficient.is_Integer for coefficient in sympy.Poly(a, *symbols).coeffs()):
        return False
    return all(
        a.xreplace(dict(zip(symbols, map(sympy.Integer, point), strict=True))) % b == 0
        for point in product(range(b), repeat=len(symbols))
    )


def ceiling_quotient(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """ceiling(a / b) in a form of its own: ceiling((H + 1) / 2) is floor(H / 2) + 1."""
    if a.could_extract_minus_sign():
        return -floor_quotient(-a, b)
    if b.is_Integer and b > 1 and a.as_coeff_Add()[0] % b == 1:
        return floor_quotient(a - 1, b) + 1
    return sympy.ceiling(sympy.expand(a / b))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    theirs.FloorDiv: floor_quotient,
    theirs.CeilDiv: ceiling_quotient,
    theirs.CleanDiv: lambda a, b: a / b,
    theirs.IntTrueDiv: lambda a, b: a / b,
    theirs.FloatTrueDiv: lambda a, b: a / b,
    theirs.Mod: sympy.Mod,
    theirs.PythonMod: sympy.Mod,
    theirs.FloorToInt: sympy.floor,
    theirs.CeilToInt: sympy.ceiling,
    theirs.TruncToInt: sympy.floor,  # sizes are not negative
    theirs.ToFloat: lambda x: x,
    theirs.Identity: lambda x: x,
    theirs.PowByNatural: sympy.Pow,
    theirs.FloatPow: sympy.Pow,
    theirs.Max: sympy.Max,
    theirs.Min: sympy.Min,
}
