"""The rows of an account as formulas: what a network's layers cost, in its own symbols."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from limner.accounting import saved, training
from limner.accounting.account import Build, set_learning
from limner.accounting.formula import Formulas, derive
from limner.accounting.interpolate import Free
from limner.accounting.meta import build_on_meta, call_builder, copy_to_meta
from limner.accounting.rows import Row, rows_of
from limner.accounting.trace import trace
from limner.errors import AccountError

Size = int | str  # of an input: a number, or the name of a free symbol


def symbolic_trace(
    build: Build,
    free: Sequence[Free],
    *,
    input: Sequence[Size],
    batch: Size = 1,
    arguments: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    learn: Literal["all"] | Sequence[str] | None = None,
) -> Formulas[Row]:
    """The rows of an account as formulas in the free symbols.

    input: the shape without batch, numbers or names of free symbols ("NIn", "H", "W"); other free
    symbols are arguments of the callable `build`. The rest as in `account`. AccountError for a
    symbol that is neither, and for what no formula is found.
    """
    used = {size for size in (batch, *input) if isinstance(size, str)}
    names = {symbol.name for symbol in free}
    for name in sorted(used - names):
        raise AccountError(f"input size {name} has no value; make it free or give a number")
    given = dict(arguments or {})
    takes = set() if isinstance(build, nn.Module) else set(inspect.signature(build).parameters)
    passed = {name for name in names if name in takes or name not in used}
    if isinstance(build, nn.Module) and passed:
        raise AccountError(
            f"{sorted(passed)[0]} cannot be free: the network is built already; "
            "give the callable that builds it"
        )

    # Without symbols among the arguments the network is built once, at plain numbers.
    built = build if passed or isinstance(build, nn.Module) else build_on_meta(build, given)

    def counts(point: Mapping[str, Any]) -> Sequence[Row]:
        values = {**given, **{name: point[name] for name in passed}}
        if isinstance(built, nn.Module):
            module = copy_to_meta(built)
        elif any(isinstance(value, torch.SymInt) for value in values.values()):
            module = move_to_meta(call_builder(built, values))
        else:
            module = build_on_meta(built, values)
        set_learning(module, learn)
        shape = [point[size] if isinstance(size, str) else size for size in (batch, *input)]
        return count_rows(module, shape, dtype)

    return derive(counts, free)


def move_to_meta(module: nn.Module) -> nn.Module:
    """The module, in place, with parameters and buffers on the meta device; shared ones stay so.

    For fresh modules of symbolic sizes, which `copy_to_meta` cannot copy.
    """
    twins: dict[Tensor, Tensor] = {}
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if tensor not in twins:
                    twin = torch.empty_strided(
                        tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta"
                    )
                    parameter = isinstance(tensor, nn.Parameter)
                    twins[tensor] = nn.Parameter(twin, tensor.requires_grad) if parameter else twin
                tensors[name] = twins[tensor]  # type: ignore[assignment]  # of the same kind
    return module


def count_rows(module: nn.Module, shape: Sequence[int], dtype: torch.dtype) -> Sequence[Row]:
    """An account's rows at plain or symbolic sizes, without its proofs."""
    inputs = saved.inputs_on([tuple(shape)], [dtype], "meta")
    module.eval()
    with torch.no_grad():
        inference = trace(module, inputs)
    module.train()
    with training.settled_norms(module):
        step = trace(module, inputs)
    return rows_of(module, inference, step, step.saved)
