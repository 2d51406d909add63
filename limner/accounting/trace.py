"""One run of a network, operator by operator, with the layer that called each.

Operators are seen below autograd and above the kernels (a dispatch mode of torch), not modules as
hooks see them, nor a graph as torch.fx or torch.export capture it: so functional calls,
hand-written loops and attention are counted, no module needs a change or must be capturable, and it
works on the meta device, where nothing is computed, and with symbolic sizes under FakeTensorMode.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from limner.accounting.operation import Call, Cost, Operation, storage_id
from limner.accounting.operators import DATA_DEPENDENT, RULES, plain_name
from limner.errors import AccountError

INPUT = -1  # the source "the network's input"


@dataclass(frozen=True)
class Trace:
    """What a run did.

    operations: every operator that made or changed a tensor, in order. layers: the layers in the
    order in which they first ran (modules without children as they are called, others with their
    first own operator), each with the output shape of its last call (empty: it has been called
    for its weights only). calls: how often each was called. saved: bytes that autograd saves, by
    layer, each storage once, without parameters and buffers. unknown: (layer, operator) that no
    rule counts. made: tensors that hold the autograd graph, where gradients were on.
    """

    operations: tuple[Operation, ...]
    layers: Mapping[str, tuple[int, ...]]
    calls: Mapping[str, int]
    saved: Mapping[str, int]
    unknown: tuple[tuple[str, str], ...]
    output: Any = field(repr=False)
    made: tuple[Tensor, ...] = field(repr=False)


def trace(module: nn.Module, inputs: Sequence[Tensor], *, allow_unknown: bool = False) -> Trace:
    """Run `module(*inputs)` once, as it stands (mode, requires_grad, grad mode), and record it.

    Parameters and inputs are on one device, best the meta device, or fake tensors with symbolic
    sizes under their FakeTensorMode. Tensors that the forward pass makes without naming a device
    are made on the inputs'. AccountError, naming the layer: an operator that no rule counts (unless
    allowed), one that reads values, a tensor on another device, whatever the forward pass raises.
    """
    recorder = Recorder(module, inputs, allow_unknown)
    with recorder.running(), torch.device(inputs[0].device):
        output = module(*inputs)
    recorder.stop_gradients(output)
    return Trace(
        operations=tuple(recorder.operations),
        layers={name: recorder.outputs.get(name, ()) for name in recorder.layers},
        calls=recorder.calls,
        saved=recorder.saved,
        unknown=tuple(dict.fromkeys(recorder.unknown)),
        output=output,
        made=tuple(recorder.made.values()),
    )


class Recorder(TorchDispatchMode):
    """Records while active: operators by dispatch, layers by hooks that torch calls for all."""

    def __init__(self, module: nn.Module, inputs: Sequence[Tensor], allow_unknown: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = inputs[0].device
        self.allow_unknown = allow_unknown
        self.names = {id(part): name for name, part in module.named_modules()}
        self.kinds = {name: type(part).__name__ for name, part in module.named_modules()}
        self.owners: dict[int, str] = {}  # storage of a parameter -> the layer that owns it
        for name, part in module.named_modules():
            for parameter in part.parameters(recurse=False):
                self.owners.setdefault(storage_id(parameter), name)
        self.parameters = frozenset(self.owners)
        self.unsaved = {storage_id(buffer) for buffer in module.buffers()} | self.parameters
        self.makers = {storage_id(tensor): INPUT for tensor in inputs}
        self.stack: list[tuple[str, nn.Module, Sequence[Any]]] = []
        self.operations: list[Operation] = []
        self.layers: dict[str, tuple[int, ...]] = {}  # in order; the shapes come at the end
        self.outputs: dict[str, tuple[int, ...]] = {}
        self.calls: dict[str, int] = {}
        self.saved: dict[str, int] = {}
        self.held: list[
            torch.UntypedStorage
        ] = []  # keeps saved storages alive, so that each keeps its identity
        self.unknown: list[tuple[str, str]] = []
        self.made: dict[int, Tensor] = {}

    @property
    def layer(self) -> str:
        """The innermost module of the network that is running."""
        return self.stack[-1][0] if self.stack else ""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Active, with the hooks set; what the run raises becomes an AccountError."""
        handles = [
            hooks.register_module_forward_pre_hook(self.enter),
            hooks.register_module_forward_hook(self.leave),
        ]
        try:
            with torch.autograd.graph.saved_tensors_hooks(self.save, lambda tensor: tensor), self:
                yield
        except AccountError:
            raise
        except Exception as error:  # whatever a network's own code may raise
            raise AccountError(describe_failure(self.stack, error)) from error
        finally:
            for handle in handles:
                handle.remove()

    def enter(self, module: nn.Module, arguments: Any) -> None:
        # a module that is made during the run belongs to the layer that makes it
        name = self.names.get(id(module), self.layer)
        self.stack.append((name, module, arguments))
        self.calls[name] = self.calls.get(name, 0) + 1
        if not any(True for _ in module.children()):
            self.layers.setdefault(name, ())

    def leave(self, module: nn.Module, arguments: Any, output: Any) -> None:
        # What an exception left, if the network caught it, is charged to until its parent returns.
        while self.stack[-1][1] is not module:
            self.stack.pop()
        name = self.stack.pop()[0]
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor):
                self.outputs[name] = tuple(leaf.shape)
                break

    def save(self, tensor: Tensor) -> Tensor:
        """Called by autograd with everything that it keeps for the backward pass."""
        storage = tensor.untyped_storage()
        # a number (0 dimensions) is no activation; torch does not report the plain ones either
        if tensor.dim() and storage._cdata not in self.unsaved:
            self.unsaved.add(storage._cdata)
            self.held.append(storage)
            self.saved[self.layer] = self.saved.get(self.layer, 0) + storage.nbytes()
        return tensor

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        schema = func._schema
        arguments = dict(zip([argument.name for argument in schema.arguments], args, strict=False))
        arguments.update(kwargs or {})
        for argument in schema.arguments[len(args) :]:
            arguments.setdefault(argument.name, argument.default_value)
        read = [leaf for leaf in tree_leaves(list(arguments.values())) if isinstance(leaf, Tensor)]
        operator = plain_name(schema.name)
        self.check_operator(operator, arguments)
        result = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.check_device(operator, made)
        sources = [storage_id(tensor) for tensor in read]
        for identity in sources:
            if identity in self.owners:
                self.layers.setdefault(self.owners[identity], ())
        targets = [storage_id(tensor) for tensor in made]
        if made and (schema.is_mutable or any(target not in sources for target in targets)):
            call = Call(arguments, result, self.parameters)
            self.record(operator, call, sources, targets, made)
        return result

    def record(
        self, operator: str, call: Call, sources: list[int], targets: list[int], made: list[Tensor]
    ) -> None:
        """Append the operation, and remember what it made."""
        makers = dict.fromkeys(self.makers[s] for s in sources if s in self.makers)
        rule = RULES.get(operator)
        self.layers.setdefault(self.layer, ())
        index = len(self.operations)
        self.operations.append(
            Operation(
                layer=self.layer,
                operator=operator,
                output=tuple(made[0].shape),
                sources=tuple(makers),
                cost=rule(call) if rule else Cost(),
            )
        )
        for target in targets:
            self.makers[target] = index
        if torch.is_grad_enabled():
            self.made[index] = made[0]

    def check_operator(self, operator: str, arguments: Mapping[str, Any]) -> None:
        """AccountError for an operator that reads values or that no rule counts."""
        indices = arguments.get("indices") if operator in ("index", "_unsafe_index") else None
        masked = any(isinstance(x, Tensor) and x.dtype == torch.bool for x in indices or ())
        if operator in DATA_DEPENDENT.split() or masked:
            raise AccountError(
                f"{self.place} depends on values ({operator}), which have no fixed cost; "
                "account a network whose operators depend on shapes alone"
            )
        if operator not in RULES:
            self.unknown.append((self.layer, operator))
            if not self.allow_unknown:
                raise AccountError(
                    f"{self.place} runs {operator}, which no rule counts; "
                    "add a rule, or allow unknown operators to list them instead"
                )

    def check_device(self, operator: str, made: Sequence[Tensor]) -> None:
        """AccountError for a tensor on another device; numbers that torch wraps are none."""
        for tensor in made:
            if tensor.device.type != self.device.type and tensor.dim() > 0:
                raise AccountError(
                    f"{self.place} makes a tensor on {tensor.device} ({operator}); "
                    "make it on the device of the input (device=x.device)"
                )

    @property
    def place(self) -> str:
        """The running layer with its kind, for messages."""
        return f"{self.layer or 'the network'} ({self.kinds[self.layer]})"

    def stop_gradients(self, output: Any) -> None:
        """Take back the gradients of what no output depends on: no backward pass gets there."""
        reached = graph([leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)])
        for index, tensor in self.made.items():
            operation = self.operations[index]
            if operation.cost.connections and tensor.grad_fn not in reached:
                cost = replace(operation.cost, input_gradient=0, weight_gradient=0)
                self.operations[index] = replace(operation, cost=cost)


def graph(tensors: Iterable[Tensor]) -> dict[Any, None]:
    """All nodes of autograd's graph above the tensors."""
    reached: dict[Any, None] = {}
    waiting = [tensor.grad_fn for tensor in tensors]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in reached:
            reached[node] = None
            waiting.extend(following for following, _ in node.next_functions)
    return reached


# Attributes of torch's layers that say what the input's channels (dimension 1 or, for a linear
# layer or a layer norm, the last) must be.
CHANNELS = ("in_channels", "num_features", "num_channels")
LAST = ("in_features", "normalized_shape")


def describe_failure(
    stack: Sequence[tuple[str, nn.Module, Sequence[Any]]], error: Exception
) -> str:
    """One line: the layer in which the run failed, what it wanted, and what it got."""
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    if not stack:
        return f"the network cannot run: {reason}"
    name, module, arguments = stack[-1]
    place = f"{name or 'the network'} ({type(module).__name__})"
    got = [list(x.shape) for x in tree_leaves(list(arguments)) if isinstance(x, Tensor)]
    if not got:
        return f"{place} cannot run: {reason}"
    for attribute in CHANNELS + LAST:
        wanted = getattr(module, attribute, None)
        if wanted is not None and not list(module.children()):
            where = "channels" if attribute in CHANNELS else "in the last dimension"
            return f"{place} wanted {wanted} {where}, got an input of {got[0]}: {reason}"
    return f"{place} cannot run on an input of {got[0]}: {reason}"
