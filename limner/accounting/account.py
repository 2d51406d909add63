"""The account of a network: rows, totals and notes, each proved before it is returned."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from limner.accounting import proof, saved, training
from limner.accounting.meta import build_on_meta, copy_to_meta
from limner.accounting.operation import Operation
from limner.accounting.rows import Row, Totals, rows_of, total
from limner.accounting.trace import Trace, trace
from limner.errors import AccountError, RecipeError
from limner.networks.freeze import freeze

__all__ = ["Account", "Build", "Row", "Shape", "Totals", "account"]

Build = nn.Module | Callable[..., nn.Module]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Account:
    """What a network costs at one input.

    input: shapes with the batch. device: where `saved` was measured. operations: the forward pass,
    operator by operator, with who made what it reads. unknown: (layer, operator) without a rule.
    """

    model: str
    input: tuple[Shape, ...]
    batch: int
    device: str
    optimizer: str
    rows: tuple[Row, ...]
    totals: Totals
    notes: tuple[str, ...]
    unknown: tuple[tuple[str, str], ...]
    operations: tuple[Operation, ...] = field(repr=False)
    symbols: tuple[str, ...] = ()


def account(
    build: Build,
    *,
    arguments: Mapping[str, Any] | None = None,
    input: Shape | Sequence[Shape] | None = None,
    batch: int = 1,
    dtype: torch.dtype | Sequence[torch.dtype] = torch.float32,
    learn: Literal["all"] | Sequence[str] | None = None,
    optimizer: str = "adam",
    device: str = "meta",
    allow_unknown: bool = False,
) -> Account:
    """What a network costs: every layer's parameters, connections, memory and training.

    build: a live module, which is not changed, or a callable that returns one; `arguments` are the
    callable's. Arguments that would fetch weights (weights, weights_backbone, pretrained) are
    passed None. Nothing is allocated: all runs on torch's meta device, except that another `device`
    builds real weights there, to measure what autograd saves with that device's kernels.
    input: the shape without batch, (C, H, W) say, or one for each input; dtype: one for all, or one
    each. learn: what a training step trains, "all" or dotted names of parts by whole components;
    None keeps the module's own requires_grad, so that what a caller froze is counted as frozen.
    optimizer: sgd, momentum or adam.

    Every call proves itself: parameters by the memory they lie in, connections by torch's
    FlopCounterMode, forward and backward, saved bytes by autograd's graph. AccountError for a
    disagreement, an operator that no rule counts (`allow_unknown` lists it instead, and then the
    connections are not proved), arguments or an input that do not fit, costs that depend on values.
    """
    shapes, dtypes = described_inputs(input, dtype, batch)
    given = dict(arguments or {})
    module = copy_to_meta(build) if isinstance(build, nn.Module) else build_on_meta(build, given)
    set_learning(module, learn)
    inputs = saved.inputs_on(shapes, dtypes, "meta")

    inference, inference_peak = inferred(module, inputs, allow_unknown)
    step, step_peak, settled = stepped(module, inputs, allow_unknown)
    saved_bytes = step.saved
    if device != "meta":
        saved_bytes = measured(build, given, learn, shapes, dtypes, device)
    rows = tuple(rows_of(module, inference, step, saved_bytes))
    proof.prove_elements(
        "parameters", sum(row.parameters for row in rows), list(module.parameters())
    )
    proof.prove_elements("buffers", sum(row.buffers for row in rows), list(module.buffers()))
    return Account(
        model=name_of(build),
        input=tuple(shapes),
        batch=batch,
        device=device,
        optimizer=optimizer,
        rows=rows,
        totals=total(rows, module, inputs, optimizer, inference_peak, step_peak),
        notes=tuple(notes_on(inference, step, settled, batch, device)),
        unknown=tuple(dict.fromkeys(inference.unknown + step.unknown)),
        operations=inference.operations,
    )


def inferred(module: nn.Module, inputs: Sequence[Tensor], allow_unknown: bool) -> tuple[Trace, int]:
    """A forward pass in eval mode, proved, and the most bytes that live in it at once."""
    module.eval()
    with frozen(module), proof.counter() as theirs, training.LiveBytes() as live:
        inference = trace(module, inputs, allow_unknown=allow_unknown)
    if not inference.unknown:
        proof.prove_forward(inference, theirs)
    return inference, live.peak


def stepped(
    module: nn.Module, inputs: Sequence[Tensor], allow_unknown: bool
) -> tuple[Trace, int, list[str]]:
    """A forward pass in training mode, proved with its backward pass.

    With the most bytes that live in both, and the batch norms that had to be put in eval mode.
    """
    module.train()
    with training.settled_norms(module) as settled:
        step = trace(module, inputs, allow_unknown=allow_unknown)
    with proof.counter() as theirs, training.LiveBytes() as live:
        training.run_step(module, inputs)
    proof.prove_saved(module, step)
    if not step.unknown:
        proof.prove_training(step, theirs)
    return step, live.peak, settled


def name_of(build: Build) -> str:
    """The module's class or the callable's name."""
    if isinstance(build, nn.Module):
        return type(build).__name__
    return getattr(build, "__name__", type(build).__name__)


def described_inputs(
    input: Shape | Sequence[Shape] | None,
    dtype: torch.dtype | Sequence[torch.dtype],
    batch: int,
) -> tuple[list[Shape], list[torch.dtype]]:
    """Shapes with the batch, and as many types; AccountError for what is no shape."""
    if not input:
        raise AccountError("the input's shape is missing; give it without batch, 3x224x224 say")
    several: list[tuple[Any, ...]] = [
        tuple(shape) for shape in input if isinstance(shape, (tuple, list))
    ]
    shapes = several if len(several) == len(input) else [tuple(input)]
    for shape in [*shapes, (batch,)]:
        for size in shape:
            if type(size) is not int or size < 1:
                raise AccountError(f"input size {size!r}; give whole numbers above 0")
    dtypes = [dtype] * len(shapes) if isinstance(dtype, torch.dtype) else list(dtype)
    if len(dtypes) != len(shapes):
        raise AccountError(
            f"{len(shapes)} inputs but {len(dtypes)} types; give one type, or one each"
        )
    return [(batch, *shape) for shape in shapes], dtypes


def set_learning(module: nn.Module, learn: Literal["all"] | Sequence[str] | None) -> None:
    """Let only the named parts learn; None leaves the module's own requires_grad."""
    if learn is not None:
        try:
            freeze(module, learn)
        except RecipeError as error:
            raise AccountError(str(error)) from error


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """While active, nothing needs a gradient, neither weights nor views of them."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        with torch.no_grad():
            yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def measured(
    build: Build,
    arguments: Mapping[str, Any],
    learn: Literal["all"] | Sequence[str] | None,
    shapes: Sequence[Shape],
    dtypes: Sequence[torch.dtype],
    device: str,
) -> Mapping[str, int]:
    """Bytes that autograd saves in a real forward pass in training mode on the device, by layer."""
    module = saved.module_on(build, arguments, device)
    set_learning(module, learn)
    module.train()
    with training.settled_norms(module):
        real = trace(module, saved.inputs_on(shapes, dtypes, device), allow_unknown=True)
    proof.prove_saved(module, real)
    return real.saved


def notes_on(
    inference: Trace, step: Trace, settled: Sequence[str], batch: int, device: str
) -> list[str]:
    """What a reader of the figures must know."""
    notes = []
    if settled:
        notes.append(
            f"{', '.join(settled)}: a batch norm in training needs more than one value a channel, "
            f"and a batch of {batch} gives it one: torch refuses to train it; counted in eval mode"
        )
    notes += [
        f"{layer or 'the network'}: {operator} is not counted: no rule knows it"
        for layer, operator in dict.fromkeys(inference.unknown + step.unknown)
    ]
    if inference.unknown or step.unknown:
        notes.append("connections are not proved, since operators are unknown")
    unproved = dict.fromkeys(proof.unproved(inference) + proof.unproved(step))
    if unproved:
        notes.append(
            f"torch's counter does not know {', '.join(unproved)}: counted by our rule alone"
        )
    if device == "meta" and any("softmax" in operation.operator for operation in step.operations):
        notes.append(
            "saved bytes are those of torch's plain attention; fused kernels save less: "
            "name the device to measure them"
        )
    return notes
