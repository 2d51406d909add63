"""The rows of an account, one a layer, and their totals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from limner.accounting.operation import Operation, product, storage_id
from limner.accounting.trace import Trace
from limner.accounting.training import optimizer_state


@dataclass(frozen=True)
class Row:
    """One layer. MACs, elements and bytes are of the whole batch.

    layer: dotted path ("": what the network's own forward calls). kind: class. calls: runs in one
    forward pass. parameters, trainable, buffers: elements, each storage at its first owner. output:
    shape of the last call, with the batch (empty: never called). connections: MACs of a forward
    pass in eval mode; links: those that read no padding (None: no connections). element_ops:
    operations that are no connections. A training step: training_forward (in training mode),
    input_gradient and weight_gradient (MACs), saved (bytes that autograd keeps).
    """

    layer: str
    kind: str
    calls: int
    parameters: int
    trainable: int
    buffers: int
    output: tuple[int, ...]
    connections: int
    links: int | None
    element_ops: int
    training_forward: int
    input_gradient: int
    weight_gradient: int
    saved: int

    @property
    def frozen(self) -> int:
        """Parameters that do not learn."""
        return self.parameters - self.trainable

    @property
    def backward(self) -> int:
        """MACs of the backward pass."""
        return self.input_gradient + self.weight_gradient


@dataclass(frozen=True)
class Totals:
    """Sums over the rows, and what only a whole network has, in bytes.

    optimizer_state: what the optimizer keeps between steps. peak_inference: weights, buffers,
    inputs, and the activations that live at once in a forward pass in eval mode. peak_training:
    weights, buffers, inputs, the optimizer's state, and the activations and gradients that live at
    once in a step. Both peaks are estimates: what kernels use inside and how an allocator rounds
    come on top.
    """

    parameters: int
    trainable: int
    buffers: int
    connections: int
    links: int
    element_ops: int
    training_forward: int
    input_gradient: int
    weight_gradient: int
    saved: int
    optimizer_state: int
    peak_inference: int
    peak_training: int

    @property
    def frozen(self) -> int:
        """Parameters that do not learn."""
        return self.parameters - self.trainable

    @property
    def backward(self) -> int:
        """MACs of the backward pass."""
        return self.input_gradient + self.weight_gradient

    @property
    def step(self) -> int:
        """MACs of a training step: forward and backward."""
        return self.training_forward + self.backward


def rows_of(
    module: nn.Module, inference: Trace, step: Trace, saved_bytes: Mapping[str, int]
) -> list[Row]:
    """A row for every layer: as they first ran, then what ran in training only, then the rest.

    The rest holds weights that neither pass reads.
    """
    parameters, trainable, buffers = elements_of(module)
    owners = [name for name in parameters if parameters[name] or buffers[name]]
    names = dict.fromkeys([*inference.layers, *step.layers, *owners])
    forward, learning = by_layer(inference), by_layer(step)
    kinds = {name: type(part).__name__ for name, part in module.named_modules()}
    rows = []
    for name in names:
        costs = [operation.cost for operation in forward.get(name, [])]
        step_costs = [operation.cost for operation in learning.get(name, [])]
        links = [cost.links for cost in costs if cost.links is not None]
        rows.append(
            Row(
                layer=name,
                kind=kinds[name],
                calls=inference.calls.get(name, 0),
                parameters=parameters.get(name, 0),
                trainable=trainable.get(name, 0),
                buffers=buffers.get(name, 0),
                output=inference.layers.get(name) or step.layers.get(name) or (),
                connections=sum(cost.connections for cost in costs),
                links=sum(links) if links else None,
                element_ops=sum(cost.element_ops for cost in costs),
                training_forward=sum(cost.connections for cost in step_costs),
                input_gradient=sum(cost.input_gradient for cost in step_costs),
                weight_gradient=sum(cost.weight_gradient for cost in step_costs),
                saved=saved_bytes.get(name, 0),
            )
        )
    return rows


def by_layer(run: Trace) -> dict[str, list[Operation]]:
    """The operations of each layer."""
    layers: dict[str, list[Operation]] = {}
    for operation in run.operations:
        layers.setdefault(operation.layer, []).append(operation)
    return layers


def elements_of(module: nn.Module) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Parameters, those that learn, and buffers of each module; shared ones at the first owner."""
    seen: set[tuple[int, str, str]] = set()
    parameters: dict[str, int] = {}
    trainable: dict[str, int] = {}
    buffers: dict[str, int] = {}

    def once(tensors: Sequence[Tensor]) -> list[Tensor]:
        fresh = []
        for tensor in tensors:
            # as text: symbolic sizes have no hash
            place = (storage_id(tensor), str(tensor.storage_offset()), str(tensor.numel()))
            if place not in seen:
                seen.add(place)
                fresh.append(tensor)
        return fresh

    for name, part in module.named_modules():
        own = once(list(part.parameters(recurse=False)))
        parameters[name] = sum(elements(parameter) for parameter in own)
        trainable[name] = sum(elements(parameter) for parameter in own if parameter.requires_grad)
        buffers[name] = sum(elements(buffer) for buffer in once(list(part.buffers(recurse=False))))
    return parameters, trainable, buffers


def elements(tensor: Tensor) -> int:
    """Elements that a tensor has in memory: an expanded dimension (stride 0) repeats one."""
    sides = zip(tensor.shape, tensor.stride(), strict=True)
    return product([side for side, step in sides if step != 0])


def total(
    rows: Sequence[Row],
    module: nn.Module,
    inputs: Sequence[Tensor],
    optimizer: str,
    peak_inference: int,
    peak_training: int,
) -> Totals:
    """The rows' sums, and the bytes of the network as a whole."""
    storages = {
        storage_id(tensor): tensor.untyped_storage().nbytes()
        for tensor in (*module.parameters(), *module.buffers(), *inputs)
    }
    standing = sum(storages.values())
    state = optimizer_state(module, optimizer)
    return Totals(
        parameters=sum(row.parameters for row in rows),
        trainable=sum(row.trainable for row in rows),
        buffers=sum(row.buffers for row in rows),
        connections=sum(row.connections for row in rows),
        links=sum(row.links or 0 for row in rows),
        element_ops=sum(row.element_ops for row in rows),
        training_forward=sum(row.training_forward for row in rows),
        input_gradient=sum(row.input_gradient for row in rows),
        weight_gradient=sum(row.weight_gradient for row in rows),
        saved=sum(row.saved for row in rows),
        optimizer_state=state,
        peak_inference=standing + peak_inference,
        peak_training=standing + state + peak_training,
    )
