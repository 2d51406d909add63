"""The proofs that every account passes: counts by a second hand; a disagreement is an error."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, flop_registry

from limner.accounting.operation import product, storage_id
from limner.accounting.saved import saved_by_graph
from limner.accounting.trace import Trace
from limner.errors import AccountError

aten = torch.ops.aten

# The operators that torch's own counter knows, by name; others with connections stay unproved.
COUNTED = frozenset(
    operator.__name__
    for operator in flop_registry
    if isinstance(operator, torch._ops.OpOverloadPacket)
)


def count_elements(tensors: Sequence[Tensor]) -> int:
    """Elements in memory of all tensors: what overlaps once, as a tied weight and its transpose.

    Where tensors of several layouts share a storage, places are ticked off on a map of it.
    """
    layouts: dict[int, dict[tuple[int, tuple[int, ...], tuple[int, ...]], None]] = {}
    for tensor in tensors:
        # an expanded dimension (stride 0) repeats one element
        sides = [
            1 if step == 0 else n for n, step in zip(tensor.shape, tensor.stride(), strict=True)
        ]
        layout = (int(tensor.storage_offset()), tuple(sides), tensor.stride())
        layouts.setdefault(storage_id(tensor), {})[layout] = None
    total = 0
    for places in layouts.values():
        if len(places) == 1:
            total += sum(product(shape) for _, shape, _ in places)
            continue
        used = [
            offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) + 1
            for offset, shape, steps in places
        ]
        ticked = torch.zeros(max(used), dtype=torch.bool)
        for offset, shape, steps in places:
            ticked.as_strided(shape, steps, offset).fill_(True)
        total += int(ticked.sum())
    return total


def prove_elements(what: str, counted: int, tensors: Sequence[Tensor]) -> None:
    """AccountError unless the rows' sum is what lies in memory."""
    agree(what, counted, count_elements(tensors), "elements in memory")


def prove_forward(trace: Trace, theirs: FlopCounterMode) -> None:
    """AccountError unless the forward connections are half of torch's operations (FLOPs)."""
    ours = sum(o.cost.connections for o in trace.operations if o.operator in COUNTED)
    agree("connections", ours, theirs.get_total_flops() // 2, "torch's FlopCounterMode")


def prove_training(trace: Trace, theirs: FlopCounterMode) -> None:
    """AccountError unless a step's connections are half of torch's operations (FLOPs).

    Torch's counter saw a forward pass and the backward pass from all outputs.
    """
    ours = sum(
        o.cost.connections + o.cost.input_gradient + o.cost.weight_gradient
        for o in trace.operations
        if o.operator in COUNTED
    )
    name = "connections of a training step"
    agree(name, ours, theirs.get_total_flops() // 2, "torch's FlopCounterMode")


def prove_saved(module: nn.Module, trace: Trace) -> None:
    """AccountError unless the saved bytes are those that autograd's finished graph holds.

    Where the graph hides some (`saved_by_graph`), it may hold no more than was counted.
    """
    ours = sum(trace.saved.values())
    theirs, whole = saved_by_graph(module, trace)
    if whole or theirs > ours:
        agree("saved bytes", ours, theirs, "autograd's graph")


def unproved(trace: Trace) -> list[str]:
    """Operators with connections that torch's counter does not know."""
    names = [o.operator for o in trace.operations if o.cost.connections]
    return [name for name in dict.fromkeys(names) if name not in COUNTED]


def counter() -> FlopCounterMode:
    """Torch's counter, with the weight gradients of grouped convolutions put right."""
    return FlopCounterMode(
        display=False, custom_mapping={aten.convolution_backward: convolution_backward}
    )


def convolution_backward(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    bias: object,
    stride: object,
    padding: object,
    dilation: object,
    transposed: bool,
    output_padding: object,
    groups: int,
    output_mask: Sequence[bool],
    out_shape: object,
) -> int:
    """FLOPs of a convolution's backward pass.

    Torch's own counts the weight gradient from the shapes of input and output alone, so that it
    comes out `groups` times too high. Every product of the forward pass has one in the gradient of
    either factor (w x: dw += x dy, dx += w dy), so each costs what the forward pass does.
    """
    forward = conv_flop_count(list(x_shape), list(w_shape), list(grad_shape), transposed=transposed)
    return forward * (bool(output_mask[0]) + bool(output_mask[1]))


def agree(what: str, ours: int, theirs: int, who: str) -> None:
    """AccountError unless both counts are the same."""
    if ours != theirs:
        raise AccountError(
            f"{what}: counted {ours:,}, but {who} gives {theirs:,}; "
            "do not rely on this account, and report the network"
        )
