"""The proofs that every account passes: counts by a second hand; a disagreement is an error."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, flop_registry

from limner.accounting.operation import storage_id
from limner.accounting.saved import saved_by_graph
from limner.accounting.trace import Trace
from limner.accounting.training import backward
from limner.errors import AccountError

aten = torch.ops.aten

# The operators that torch's own counter knows, by name; others with connections stay unproved.
COUNTED = frozenset(
    operator.__name__
    for operator in flop_registry
    if isinstance(operator, torch._ops.OpOverloadPacket)
)


def count_elements(tensors: Sequence[Tensor]) -> int:
    """Elements of all tensors, what overlaps in memory once.

    A sweep over each storage: a tied weight lies twice at the same place, slices of one flat
    buffer lie side by side.
    """
    places: dict[int, list[tuple[int, int]]] = {}
    for tensor in tensors:
        start = tensor.storage_offset()
        reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
        if tensor.numel():
            # an expanded weight, or one with gaps, has as many elements as it has places at most
            places.setdefault(storage_id(tensor), []).append(
                (start, start + min(reach, tensor.numel()))
            )
    total = 0
    for spans in places.values():
        end = 0
        for first, last in sorted(spans):
            total += max(0, last - max(first, end))
            end = max(end, last)
    return total


def prove_elements(what: str, counted: int, tensors: Sequence[Tensor]) -> None:
    """AccountError unless the rows' sum is what lies in memory."""
    agree(what, counted, count_elements(tensors), "elements in memory")


def prove_forward(module: nn.Module, inputs: Sequence[Tensor], trace: Trace) -> None:
    """AccountError unless the forward connections are half of torch's operations (FLOPs)."""
    with torch.no_grad(), torch.device(inputs[0].device), counter() as theirs:
        module(*inputs)
    ours = sum(o.cost.connections for o in trace.operations if o.operator in COUNTED)
    agree("connections", ours, theirs.get_total_flops() // 2, "torch's FlopCounterMode")


def prove_training(module: nn.Module, inputs: Sequence[Tensor], trace: Trace) -> None:
    """AccountError unless a step's connections are half of torch's operations (FLOPs).

    Torch counts a forward and a backward pass from all outputs; the module stands as it was traced.
    """
    with torch.device(inputs[0].device), counter() as theirs:
        backward(module(*inputs))
    module.zero_grad(set_to_none=True)
    ours = sum(
        o.cost.connections + o.cost.input_gradient + o.cost.weight_gradient
        for o in trace.operations
        if o.operator in COUNTED
    )
    agree(
        "connections of a training step",
        ours,
        theirs.get_total_flops() // 2,
        "torch's FlopCounterMode",
    )


def prove_saved(module: nn.Module, trace: Trace) -> None:
    """AccountError unless the saved bytes are those that autograd's finished graph holds."""
    agree(
        "saved bytes", sum(trace.saved.values()), saved_by_graph(module, trace), "autograd's graph"
    )


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
