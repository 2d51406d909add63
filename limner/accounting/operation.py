"""One operator that a network ran, what it costs, and what a rule of cost is given.

Sizes are written `int`, as torch writes them; in a symbolic run torch.SymInt stands in each place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cost:
    """What one operator costs.

    connections: multiply-accumulates (MACs) of products with weights or of two activations; what a
    padded border multiplies is counted, a bias is not (one MAC = one connection). links: the
    connections that read no padding; None where there are no connections.
    element_ops: multiply-adds, comparisons and function values of everything else.
    input_gradient, weight_gradient: MACs of the backward pass, by what the gradient is of: an
    activation, or a weight. 0 where no gradient is needed.
    """

    connections: int = 0
    links: int | None = None
    element_ops: int = 0
    input_gradient: int = 0
    weight_gradient: int = 0


@dataclass(frozen=True)
class Operation:
    """An operator that ran: where, on what, and its cost.

    layer: dotted path of the innermost module that called it ("": the network itself).
    operator: aten's name without overload, "convolution". output: shape of the first tensor made.
    sources: indices, in the trace, of the operations that made what this one read, in the order
    read; -1 is the network's input. Views are no operations: they pass their maker on.
    """

    layer: str
    operator: str
    output: tuple[int, ...]
    sources: tuple[int, ...]
    cost: Cost


@dataclass(frozen=True)
class Call:
    """An operator's call as a rule sees it: arguments by the schema's names, and the result."""

    arguments: Mapping[str, Any]
    result: Any
    parameters: frozenset[int]  # identities of the storages of the network's parameters

    def tensor(self, name: str) -> Tensor:
        """The argument `name`, a tensor."""
        tensor: Tensor = self.arguments[name]
        return tensor

    @property
    def output(self) -> Tensor:
        """The first tensor of the result."""
        tensor: Tensor = self.result if isinstance(self.result, Tensor) else self.result[0]
        return tensor

    def is_parameter(self, tensor: Tensor) -> bool:
        """Whether the tensor is a parameter of the network, or a view of one."""
        return storage_id(tensor) in self.parameters


Rule = Callable[[Call], Cost]


def needs_gradient(tensor: Tensor) -> bool:
    """Whether a backward pass would compute the gradient of `tensor` here."""
    return torch.is_grad_enabled() and tensor.requires_grad


def storage_id(tensor: Tensor) -> int:
    """What names a tensor's memory, on the meta device too, as long as the memory lives."""
    identity: int = tensor.untyped_storage()._cdata
    return identity


def product(sizes: Sequence[int]) -> int:
    """The product of sizes, plain or symbolic; 1 of none."""
    result = 1
    for size in sizes:
        result = result * size
    return result
