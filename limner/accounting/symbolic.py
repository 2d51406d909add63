"""One run of a network with symbols for sizes: the only file that knows torch's private interface.

torch can run a network on fake tensors whose sizes are expressions (torch.SymInt), with a value
at hand for every symbol. Where a program looks at a size (`if H % 4`), the value decides, and the
branch taken is kept as a condition. Where it asks for a plain number (`range(n)`, `math.sqrt(n)`
in an initializer), it gets the value, and the formulas may be wrong at others: whoever uses them
checks them at other sizes (formula.py does).
"""

import inspect
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import sympy
import torch
import torch.nn.functional as F
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanAtom, BooleanFunction
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.overrides import TorchFunctionMode
from torch.utils._sympy import functions as theirs

from limner.accounting.interpolate import STEPS, Free
from limner.errors import AccountError

TRIED_WITH = "2.14"  # the release of torch whose private interface this file was written for
TORCH = str(Path(torch.__file__).parent)


@dataclass(frozen=True)
class SymbolicRun:
    """The counts as expressions in the free symbols, and the branches that the run took.

    free: the symbols, with the steps that those branches ask for (k odd: value 3, step 2).
    conditions: the other branches, taken by code that is not torch's, as relations that held.
    """

    formulas: dict[Hashable, sympy.Expr]
    free: tuple[Free, ...]
    conditions: tuple[sympy.Basic, ...]


def run(
    counts: Callable[[Mapping[str, Any]], Mapping[Hashable, Any]], free: Sequence[Free]
) -> SymbolicRun:
    """The counts of one symbolic run.

    counts: builds and runs the network on a point (symbol's name -> torch.SymInt) and returns its
    counts by name, plain or symbolic; it is called twice where branches ask for a step (k odd).
    Whatever it raises passes through: a constructor may refuse symbols.
    """
    while True:
        environment = Branches(free)
        with FakeTensorMode(shape_env=environment), Scales():
            values = dict(counts(environment.point))
        formulas = {name: environment.expression(value) for name, value in values.items()}
        conditions = environment.conditions()
        widened = tuple(widen(symbol, conditions) for symbol in free)
        if widened == tuple(free):
            return SymbolicRun(formulas, widened, conditions)
        free = widened


class Branches(ShapeEnv):
    """torch's keeper of symbols; answers questions by the symbols' values and notes the answers."""

    def __init__(self, free: Sequence[Free]) -> None:
        super().__init__(specialize_zero_one=False, duck_shape=False)
        self.answers: dict[sympy.Basic, sympy.Basic] = {}
        self.asked: dict[sympy.Basic, None] = {}  # relations that held, of code that counts
        self.point: dict[str, Any] = {}
        self.back: dict[sympy.Symbol, sympy.Expr] = {}  # torch's symbol -> in the reader's
        self.plain: dict[sympy.Basic, sympy.Expr] = {}
        for symbol, value in zip(free, choose_values(free), strict=True):
            steps = value // symbol.step
            source = ConstantSource(symbol.name)
            inner = self.create_symbol(
                steps, source, dynamic_dim=DimDynamic.DYNAMIC, constraint_dim=None
            )
            node = self.create_symintnode(inner, hint=steps, source=source)
            self.point[symbol.name] = symbol.step * node + symbol.residue
            self.back[inner] = (symbol.symbol - symbol.residue) / symbol.step

    def evaluate_expr(
        self,
        orig_expr: sympy.Basic,
        hint: Any = None,
        fx_node: Any = None,
        size_oblivious: bool = False,
        fallback_value: Any = None,
        *,
        forcing_spec: bool = False,
    ) -> sympy.Basic:
        """The expression's value. torch's own would then hold a size to it for good."""
        if orig_expr not in self.answers:
            value = hint if hint is not None else self.guarding_hint_or_throw(orig_expr)
            self.answers[orig_expr] = sympy.sympify(value)
        answer = self.answers[orig_expr]
        if isinstance(answer, BooleanAtom) and isinstance(orig_expr, Relational | BooleanFunction):
            held = orig_expr if answer == sympy.true else sympy.Not(orig_expr)
            if held not in self.asked and (orig_expr.has(theirs.Mod) or not asked_by_torch()):
                self.asked[held] = None
        return answer

    def expression(self, value: Any) -> sympy.Expr:
        """A plain or symbolic number in the reader's symbols."""
        inner = value.node.expr if isinstance(value, torch.SymInt) else sympy.Integer(value)
        if inner not in self.plain:
            self.plain[inner] = to_plain(inner).xreplace(self.back)
        return self.plain[inner]

    def conditions(self) -> tuple[sympy.Basic, ...]:
        """The relations that held and that do not hold by themselves, in the reader's symbols."""
        found = {}
        for relation in self.asked:
            inner = to_plain(relation)
            if inner != sympy.true:
                found[inner.xreplace(self.back)] = None
        return tuple(found)


class Scales(TorchFunctionMode):
    """Resizes to sizes that are symbols: on its way torch would make plain numbers of them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is not F.interpolate:
            return func(*args, **(kwargs or {}))
        bound = inspect.signature(func).bind(*args, **(kwargs or {}))
        bound.apply_defaults()
        given = bound.arguments
        sides = given["input"].shape[2:]
        operator = RESIZES.get((given["mode"], len(sides)))
        if operator is None or given["antialias"]:
            return func(*args, **(kwargs or {}))
        size, scale = (
            value if isinstance(value, tuple | list) else [value] * len(sides)
            for value in (given["size"], given["scale_factor"])
        )
        sizes = [
            fixed if s is None else side * int(s) if s == int(s) else torch.sym_int(side * s)
            for side, fixed, s in zip(sides, size, scale, strict=True)
        ]
        corners = [] if "nearest" in given["mode"] else [bool(given["align_corners"])]
        return getattr(torch.ops.aten, operator).default(given["input"], sizes, *corners)


RESIZES = {
    **{("nearest", n): f"upsample_nearest{n}d" for n in (1, 2, 3)},
    **{("nearest-exact", n): f"_upsample_nearest_exact{n}d" for n in (1, 2, 3)},
    ("linear", 1): "upsample_linear1d",
    ("bilinear", 2): "upsample_bilinear2d",
    ("bicubic", 2): "upsample_bicubic2d",
    ("trilinear", 3): "upsample_trilinear3d",
}


def asked_by_torch() -> bool:
    """Whether torch put the question (to lay out memory, say), and not an `if` of other code."""
    frame = sys._getframe(2)  # the caller of evaluate_expr
    while frame.f_code.co_filename.endswith(("symbolic_shapes.py", "sym_node.py", "recording.py")):
        frame = frame.f_back  # type: ignore[assignment]  # the run itself is further out
    if frame.f_code.co_name != "__bool__":  # torch's C++, whoever called it
        return True
    while frame.f_code.co_name == "__bool__":
        frame = frame.f_back  # type: ignore[assignment]
    return frame.f_code.co_filename.startswith(TORCH)


def choose_values(free: Sequence[Free]) -> list[int]:
    """A value for every symbol, all different, so that no two are taken for the same.

    Odd multiples of the value that is known to work: what divides it divides them.
    """
    chosen: list[int] = []
    factors = count(3, 2)
    for symbol in free:
        value = next(
            symbol.value * factor
            for factor in factors
            if (symbol.value * factor) % symbol.step == symbol.residue
            and symbol.value * factor not in chosen
        )
        chosen.append(value)
    return chosen


def widen(symbol: Free, conditions: Sequence[sympy.Basic]) -> Free:
    """The symbol with the step under which the conditions in it alone hold by themselves.

    A condition is one on a remainder if it tells apart values by their remainder alone.
    AccountError if one holds at a single value.
    """
    for condition in conditions:
        if condition.free_symbols != {symbol.symbol}:
            continue
        if isinstance(condition, sympy.Eq) and sympy.Ne(*condition.args).func is sympy.Ne:
            solutions = condition.as_set() if not condition.has(sympy.Mod, sympy.floor) else None
            if isinstance(solutions, sympy.FiniteSet):
                raise AccountError(
                    f"{symbol.name} cannot be free: the network asks for {condition}; "
                    f"keep {symbol.name} at a number"
                )
        truth = [bool(condition.subs(symbol.symbol, n)) for n in range(1, 4 * STEPS[-1])]
        for step in STEPS[1:]:
            classes = [set(truth[i::step]) for i in range(step)]
            if len(set(truth)) == 2 and all(len(values) == 1 for values in classes):
                return replace(symbol, step=max(step, symbol.step))
    return symbol


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
    if a.could_extract_minus_sign():
        return -ceiling_quotient(-a, b)
    if b.is_Integer and b > 1 and a.as_coeff_Add()[0] % b == b - 1:
        return sympy.ceiling(sympy.expand((a + 1) / b)) - 1
    return sympy.floor(sympy.expand(a / b))


def ceiling_quotient(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """ceiling(a / b) in a form of its own: ceiling((H + 1) / 2) is floor(H / 2) + 1."""
    if a.could_extract_minus_sign():
        return -floor_quotient(-a, b)
    if b.is_Integer and b > 1 and a.as_coeff_Add()[0] % b == 1:
        return sympy.floor(sympy.expand((a - 1) / b)) + 1
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
