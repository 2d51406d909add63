"""What training adds: gradients' state, batch norms that cannot train, memory over time."""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from limner.accounting.operation import storage_id
from limner.errors import AccountError

# Copies of every trained weight that an optimizer keeps between steps.
OPTIMIZERS = {"sgd": 0, "momentum": 1, "adam": 2}

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def optimizer_state(module: nn.Module, optimizer: str) -> int:
    """Bytes that the optimizer keeps for the weights that learn.

    sgd keeps none, momentum one moment, adam two (Kingma and Ba 2015; its step counts, 4 bytes a
    tensor, are left out). AccountError for another name.
    """
    if optimizer not in OPTIMIZERS:
        raise AccountError(
            f"optimizer {optimizer!r} is not known; choose one of {', '.join(OPTIMIZERS)}"
        )
    trained = sum(
        parameter.numel() * parameter.element_size()
        for parameter in module.parameters()
        if parameter.requires_grad
    )
    return OPTIMIZERS[optimizer] * trained


@contextmanager
def settled_norms(module: nn.Module) -> Iterator[list[str]]:
    """While active, a batch norm that would see one value a channel is put in eval mode.

    Torch refuses to train on one value, whose variance is 0: after a global pooling, say, with a
    batch of one. Yields the list of their names, which grows as the network runs.
    """
    settled: list[str] = []
    names = {id(part): name for name, part in module.named_modules()}

    def settle(norm: nn.Module, arguments: tuple[Any, ...]) -> None:
        x: Tensor = arguments[0]
        if norm.training and x.dim() > 1 and x.numel() == x.shape[1]:
            norm.eval()
            settled.append(names[id(norm)])

    handles = [
        part.register_forward_pre_hook(settle)
        for part in module.modules()
        if isinstance(part, BATCH_NORMS)
    ]
    try:
        yield settled
    finally:
        for handle in handles:
            handle.remove()


class LiveBytes(TorchDispatchMode):
    """While active, follows the memory that operators make, and how much of it lives at once."""

    def __init__(self) -> None:
        super().__init__()
        self.living: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self.now = 0
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        read = tree_leaves((args, kwargs or {}))
        there = {storage_id(leaf) for leaf in read if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and storage_id(leaf) not in there | self.living.keys():
                self.follow(leaf.untyped_storage())
        return result

    def follow(self, storage: torch.UntypedStorage) -> None:
        """Count a new storage until it dies."""
        identity, size = storage._cdata, storage.nbytes()

        def die(_: object) -> None:
            del self.living[identity]
            self.now -= size

        self.living[identity] = weakref.ref(storage, die)
        self.now += size
        self.peak = max(self.peak, self.now)


def peak_of_inference(module: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Most bytes of activations that live at once in a forward pass without gradients.

    Weights, buffers and inputs are not in it, nor what kernels use inside. The module is in the
    mode that is to be counted.
    """
    with torch.no_grad(), torch.device(inputs[0].device), LiveBytes() as live:
        module(*inputs)
    return live.peak


def peak_of_training(module: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Most bytes of activations and gradients that live at once in a forward and backward pass."""
    with torch.device(inputs[0].device), LiveBytes() as live:
        backward(module(*inputs))
    module.zero_grad(set_to_none=True)
    return live.peak


def backward(output: object) -> None:
    """A backward pass from everything in a network's output that needs a gradient."""
    ends = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.requires_grad]
    if ends:
        torch.autograd.backward(ends, [torch.empty_like(end) for end in ends])
