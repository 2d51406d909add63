"""A network on torch's meta device: shapes without memory, so that nothing is allocated."""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from limner.accounting.operation import storage_id
from limner.errors import AccountError, LimnerError

# Arguments that would fetch weights, and what is passed instead: torchvision's and timm's.
WEIGHTLESS = {"weights": None, "weights_backbone": None, "pretrained": False}


class EmptyOnMeta(TorchFunctionMode):
    """`torch.empty`, with which layers make their weights, makes them on the meta device.

    The meta device as default would break constructors that read small values of their own
    (torchvision's regnets, timm's rates of stochastic depth); those stay real until `copy_to_meta`.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.empty:
            kwargs = {**(kwargs or {}), "device": "meta"}
        return func(*args, **(kwargs or {}))


def build_on_meta(build: Callable[..., nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """The network that `build(**arguments)` returns, on the meta device, without its weights.

    Arguments named in WEIGHTLESS are passed as given there. AccountError for arguments that are
    missing or unknown, for a constructor that fails and for a result that is no module.
    """
    with EmptyOnMeta():
        module = call_builder(build, arguments)
    return copy_to_meta(module)


def call_builder(build: Callable[..., nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """`build(**arguments)`, checked, and without the arguments that fetch weights."""
    name = getattr(build, "__name__", type(build).__name__)
    passed = complete(build, name, arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they speak of initial values, which are never used
            module = build(**passed)
    except LimnerError:
        raise
    except Exception as error:  # whatever a constructor may raise
        raise AccountError(f"{name} cannot be built: {first_line(error)}") from error
    if not isinstance(module, nn.Module):
        raise AccountError(
            f"{name} returned {type(module).__name__}; give a callable that returns a torch module"
        )
    return module


def complete(
    build: Callable[..., nn.Module], name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments with those of WEIGHTLESS; AccountError where they do not fit the signature."""
    try:
        parameters = inspect.signature(build).parameters
    except ValueError:  # a callable that does not tell its signature
        return dict(arguments)
    kinds = inspect.Parameter
    named = {
        key: parameter
        for key, parameter in parameters.items()
        if parameter.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    }
    passed = dict(arguments) | {key: value for key, value in WEIGHTLESS.items() if key in named}
    if not any(parameter.kind is kinds.VAR_KEYWORD for parameter in parameters.values()):
        for key in passed:
            if key not in named:
                takes = ", ".join(named) or "none"
                raise AccountError(f"{name} has no argument {key!r}; it takes {takes}")
    missing = [
        key
        for key, parameter in named.items()
        if parameter.default is kinds.empty and key not in passed
    ]
    if missing:
        raise AccountError(
            f"{name} needs {', '.join(missing)}, which no argument gives; "
            f"give a value for each, {missing[0]}=... say"
        )
    return passed


def copy_to_meta(module: nn.Module) -> nn.Module:
    """A copy of a live module whose tensors are all on the meta device; the module is not changed.

    Tensors that share memory share it in the copy too. Gradients are left out; hooks, modes and
    requires_grad are kept. AccountError for lazy modules and for what cannot be copied.
    """
    storages: dict[int, torch.UntypedStorage] = {}
    copies: dict[int, Any] = {}  # what deepcopy finds here it does not copy: nothing is allocated
    for name, part in module.named_modules():
        for leaf in tree_leaves(vars(part)):
            if is_lazy(leaf):
                raise AccountError(
                    f"{name or 'the network'} is lazy: its shapes are not known before its first "
                    "run; run it once, then account it"
                )
            if isinstance(leaf, Tensor):
                copies[id(leaf)] = meta_twin(leaf, storages)
    try:
        return copy.deepcopy(module, copies)
    except Exception as error:  # whatever a module's attributes may raise
        raise AccountError(
            f"{type(module).__name__} cannot be copied ({first_line(error)}); "
            "give a callable that builds it"
        ) from error


def meta_twin(tensor: Tensor, storages: dict[int, torch.UntypedStorage]) -> Tensor:
    """The tensor on the meta device: same shape, strides and place in its (shared) storage."""
    identity = storage_id(tensor)
    if identity not in storages:
        size = tensor.untyped_storage().nbytes()
        storages[identity] = torch.empty(size, dtype=torch.uint8, device="meta").untyped_storage()
    twin = torch.empty(0, dtype=tensor.dtype, device="meta").set_(
        storages[identity],
        tensor.storage_offset(),
        tensor.shape,
        tensor.stride(),
    )
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(twin, requires_grad=tensor.requires_grad)
    return twin


def first_line(error: Exception) -> str:
    """An error's message, cut to one line; its type where it has none."""
    return str(error).strip().split("\n")[0] or type(error).__name__
