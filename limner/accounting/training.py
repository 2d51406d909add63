"""What training adds: gradients' state, batch norms that cannot train, memory over time."""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from limner.accounting.meta import first_line
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
    """While active, follows the memory that operators make: `peak`, the most bytes at once.

    What was there before (weights, inputs) is not in it, nor what kernels use inside.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
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


def run_step(module: nn.Module, inputs: Sequence[Tensor]) -> None:
    """A forward pass and a backward pass from everything in the output that needs a gradient.

    AccountError if the backward pass cannot run, as where torch has no rule for the meta device.
    """
    with torch.device(inputs[0].device):
        output = module(*inputs)
        ends = [x for x in tree_leaves(output) if isinstance(x, Tensor) and x.requires_grad]
        try:
            if ends:
                torch.autograd.backward(ends, [torch.empty_like(end) for end in ends])
        except (RuntimeError, NotImplementedError) as error:
            raise AccountError(
                f"the backward pass cannot run on {inputs[0].device}: {first_line(error)}"
            ) from error
    module.zero_grad(set_to_none=True)
