"""Bytes that autograd saves for the backward pass: a second count, and a count on a real device."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from limner.accounting.meta import call_builder
from limner.accounting.operation import storage_id
from limner.accounting.trace import Trace, graph
from limner.errors import AccountError


def saved_by_graph(module: nn.Module, trace: Trace) -> tuple[int, bool]:
    """The bytes that the nodes of autograd's graph hold, and whether those are all.

    Each storage once, without weights and numbers. A way of its own to what `saved_tensors_hooks`
    counted in `Trace.saved`: the hooks hear of a tensor as it is saved, this reads the finished
    graph. Nodes that write into a view (CopySlices) hide what the node inside them holds.
    """
    counted = {storage_id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    outputs = [leaf for leaf in tree_leaves(trace.output) if isinstance(leaf, Tensor)]
    total, whole = 0, True
    for node in graph([*trace.made, *outputs]):
        whole = whole and not node.name().endswith("CopySlices")
        for tensor in held_by(node):
            if tensor.dim() and storage_id(tensor) not in counted:
                counted.add(storage_id(tensor))
                total += tensor.untyped_storage().nbytes()
    return total, whole


def held_by(node: Any) -> list[Tensor]:
    """The tensors that a node of autograd's graph has saved."""
    if hasattr(node, "saved_tensors"):  # a node of a torch.autograd.Function
        values = node.saved_tensors
    else:
        values = [getattr(node, name) for name in dir(node) if name.startswith("_saved_")]
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def module_on(
    build: nn.Module | Callable[..., nn.Module], arguments: Mapping[str, Any], device: str
) -> nn.Module:
    """The network with real weights on a device, to be run there; a live module is copied.

    AccountError if torch has no such device here.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch's ways to say that it has none
        raise AccountError(f"device {device!r} cannot be used here; name cpu or meta") from error
    module = (
        copy.deepcopy(build) if isinstance(build, nn.Module) else call_builder(build, arguments)
    )
    return module.to(device)


def inputs_on(
    shapes: Sequence[tuple[int, ...]], dtypes: Sequence[torch.dtype], device: str
) -> list[Tensor]:
    """One tensor of zeros for every shape: an index into any table, and a picture for any layer."""
    return [
        torch.zeros(shape, dtype=dtype, device=device)
        for shape, dtype in zip(shapes, dtypes, strict=True)
    ]
