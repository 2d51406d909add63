"""One run of a network with symbols for sizes, by torch's private interface.

No other file knows that interface, but for the names of its functions (plain.py).

torch can run a network on fake tensors whose sizes are expressions (torch.SymInt), with a value
at hand for every symbol. Where a program looks at a size (`if H % 4`), the value decides, and the
branch taken is kept as a condition. Where it asks for a plain number (`range(n)`, `math.sqrt(n)`
in an initializer), it gets the value, and the formulas may be wrong at others: whoever uses them
checks them at other sizes (formula.py does).
"""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._sympy import functions as theirs

from limner.accounting.conditions import simplify, widen
from limner.accounting.interpolate import Free
from limner.accounting.plain import to_plain

TRIED_WITH = "2.14"  # the release of torch whose private interface this file was written for
TORCH = str(Path(torch.__file__).parent)
HERE = str(Path(__file__).parent)
RULES = str(Path(__file__).with_name("operators.py"))


@dataclass(frozen=True)
class SymbolicRun:
    """The counts as expressions in the free symbols, and the branches that the run took.

    free: the symbols, with the steps that those branches ask for (k odd: value 3, step 2).
    conditions: the other branches, taken by code that is not torch's, as relations that held.
    """

    formulas: dict[Any, sympy.Expr]
    free: tuple[Free, ...]
    conditions: tuple[sympy.Basic, ...]


def run(
    counts: Callable[[Mapping[str, Any]], Mapping[Any, Any]], free: Sequence[Free]
) -> SymbolicRun:
    """The counts of one symbolic run.

    counts: builds and runs the network on a point (symbol's name -> torch.SymInt) and returns its
    counts by name, plain or symbolic; it is called twice where branches ask for a step (k odd).
    Whatever it raises passes through: a constructor may refuse symbols.
    """
    while True:
        environment = Branches(free)
        shapes: Any = Shapes  # its constructor has no types
        with FakeTensorMode(shape_env=environment), shapes(), Scales():
            values = dict(counts(environment.point))
        conditions = environment.conditions()
        widened = tuple(widen(symbol, conditions) for symbol in free)
        if widened == tuple(free):
            formulas = {name: environment.expression(value) for name, value in values.items()}
            return SymbolicRun(formulas, widened, simplify(conditions, widened))
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
            if held not in self.asked and (is_on_remainder(held) or not asked_on_the_way()):
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
        found: dict[sympy.Basic, None] = {}
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


class Shapes(TorchDispatchMode):
    """Makes what norms, resizes and pads return by its shape alone.

    torch would take steps: those of a norm take most of the time, those of a resize may fail, and
    those of a pad make plain numbers of the sides.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket is torch.ops.aten.native_batch_norm:
            x, training = args[0], args[5]
            statistics = [x.new_empty(x.shape[1] if training else 0) for _ in range(2)]
            return torch.empty_like(x), *statistics
        if func.overloadpacket.__name__ in RESIZES.values():
            x, sizes = args[:2]
            return x.new_empty((*x.shape[:2], *sizes))
        if func.overloadpacket is torch.ops.aten.constant_pad_nd:
            x, pads = args[:2]
            sizes = list(x.shape)
            for i, pad in enumerate(pads):  # before and after, from the last side on
                sizes[-1 - i // 2] += pad
            return x.new_empty(sizes)
        return func(*args, **(kwargs or {}))


RESIZES = {
    **{("nearest", n): f"upsample_nearest{n}d" for n in (1, 2, 3)},
    **{("nearest-exact", n): f"_upsample_nearest_exact{n}d" for n in (1, 2, 3)},
    ("linear", 1): "upsample_linear1d",
    ("bilinear", 2): "upsample_bilinear2d",
    ("bicubic", 2): "upsample_bicubic2d",
    ("trilinear", 3): "upsample_trilinear3d",
}


def is_on_remainder(relation: sympy.Basic) -> bool:
    """Whether a relation is about what a number leaves over: groups that must divide channels."""
    remainders = relation.atoms(theirs.Mod, theirs.PythonMod)
    return bool(remainders) and all(remainder.args[1].is_Integer for remainder in remainders)


def asked_on_the_way() -> bool:
    """Whether the question decides no count: torch laying out memory, say, or this package.

    It decides one where the network's own code puts it, or a rule of cost.
    """
    frame = sys._getframe(2)  # the caller of evaluate_expr
    while frame.f_code.co_filename.endswith(("symbolic_shapes.py", "sym_node.py", "recording.py")):
        frame = frame.f_back  # type: ignore[assignment]  # the run itself is further out
    if frame.f_code.co_name != "__bool__":  # torch's C++, whoever called it
        return True
    while frame.f_code.co_name == "__bool__":
        frame = frame.f_back  # type: ignore[assignment]
    file = frame.f_code.co_filename
    return file.startswith(TORCH) or (file.startswith(HERE) and file != RULES)


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
