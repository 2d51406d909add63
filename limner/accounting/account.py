"""The account of a network: rows, totals and notes, each proved before it is returned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from limner.accounting import proof, saved, training
from limner.accounting.meta import build_on_meta, copy_to_meta
from limner.accounting.operation import Operation, storage_id
from limner.accounting.trace import Trace, trace
from limner.errors import AccountError, RecipeError
from limner.networks.freeze import freeze

Build = nn.Module | Callable[..., nn.Module]
Shape = tuple[int, ...]


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
    output: Shape
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

    optimizer_state: what the optimizer keeps between steps. peak_inference: weights, buffers, inputs
    and the activations that live at once in a forward pass. peak_training: weights, buffers,
    inputs, optimizer's state, and the activations and gradients that live at once in a step.
    Both are estimates: kernels' workspace and the allocator's rounding come on top.
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
    None keeps the module's own requires_grad, so that whoever froze a module has it counted as it is.
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

    module.eval()
    with torch.no_grad():
        inference = trace(module, inputs, allow_unknown=allow_unknown)
    peak_inference = training.peak_of_inference(module, inputs)
    if not inference.unknown:
        proof.prove_forward(module, inputs, inference)

    module.train()
    with training.settled_norms(module) as settled:
        step = trace(module, inputs, allow_unknown=allow_unknown)
    peak_training = training.peak_of_training(module, inputs)
    proof.prove_saved(module, step)
    if not step.unknown:
        proof.prove_training(module, inputs, step)

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
        totals=total(rows, module, inputs, optimizer, peak_inference, peak_training),
        notes=tuple(notes_on(inference, step, settled, batch, device)),
        unknown=tuple(dict.fromkeys(inference.unknown + step.unknown)),
        operations=inference.operations,
    )


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
    several = [tuple(shape) for shape in input if not isinstance(shape, int)]
    shapes = several or [tuple(size for size in input if isinstance(size, int))]
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


def rows_of(
    module: nn.Module, inference: Trace, step: Trace, saved_bytes: Mapping[str, int]
) -> list[Row]:
    """A row for every layer: as they first ran, then what ran in training only, then the rest.

    The rest holds weights that neither pass reads.
    """
    parameters, trainable, buffers = elements_of(module)
    owners = {**parameters, **buffers}
    names = dict.fromkeys([*inference.layers, *step.layers, *(n for n, c in owners.items() if c)])
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
    """Parameters, those that learn, and buffers of each module, shared ones at their first owner."""
    seen: set[tuple[int, int, int]] = set()
    parameters: dict[str, int] = {}
    trainable: dict[str, int] = {}
    buffers: dict[str, int] = {}

    def once(tensors: Sequence[Tensor]) -> list[Tensor]:
        fresh = []
        for tensor in tensors:
            place = (storage_id(tensor), tensor.storage_offset(), tensor.numel())
            if place not in seen:
                seen.add(place)
                fresh.append(tensor)
        return fresh

    for name, part in module.named_modules():
        own = once(list(part.parameters(recurse=False)))
        parameters[name] = sum(parameter.numel() for parameter in own)
        trainable[name] = sum(p.numel() for p in own if p.requires_grad)
        buffers[name] = sum(buffer.numel() for buffer in once(list(part.buffers(recurse=False))))
    return parameters, trainable, buffers


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
    state = training.optimizer_state(module, optimizer)
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


def notes_on(
    inference: Trace, step: Trace, settled: Sequence[str], batch: int, device: str
) -> list[str]:
    """What a reader of the figures must know."""
    notes = [
        f"{name}: a batch norm in training needs more than one value a channel, and a batch of "
        f"{batch} gives it one: torch refuses to train it; counted in eval mode"
        for name in settled
    ]
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
