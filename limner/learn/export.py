"""A trained network becomes a model file, and a model file a network that trains on."""

import copy
import inspect
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from limner.card import CHANNELS, KEY, Card, card_of, read_model
from limner.errors import ModelError, RecipeError
from limner.files import write_atomically
from limner.networks import NETWORKS, Network, build

# Largest difference between torch and ONNX Runtime in any logit or feature, as a share of the
# largest of them, or of 1: the two add in other orders, and what that rounds off grows with the
# terms.
TOLERANCE = 1e-4
PREFIX = "network."  # of the weights' names inside `Outputs`
COMPARED = ((1, 1, 1), (3, 2, 1), (2, 3, 5))  # batch, height and width in units of `multiple`


class Outputs(nn.Module):
    """A network that returns what a model file does: logits and features."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(x)
        return self.network.classify(features), features


def export(network: Network, card: Card, path: Path | str, overwrite: bool = False) -> None:
    """Write network (its weights in float32, its behavior in eval) and card as one .onnx file.

    The network itself is left as it is. Raises ModelError if the file exists (unless `overwrite`),
    if the card describes another network, or if ONNX Runtime computes anything else than torch;
    nothing is written then.
    """
    path = Path(path)
    if os.path.lexists(path) and not overwrite:
        raise ModelError(f"{path}: exists already; choose another name or use --overwrite")
    check_card(network, card)
    outputs = Outputs(copy.deepcopy(network)).to("cpu", torch.float32)
    outputs.to(memory_format=torch.contiguous_format).eval()
    for parameter in outputs.parameters():
        parameter.requires_grad_(False)
    model = to_onnx(outputs, card)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, card.to_json()
    content = model.SerializeToString(deterministic=True)
    compare(outputs, content, card, path)
    write_atomically(path, content)


def with_card(path: Path | str, card: Card) -> bytes:
    """The content of the model file with this card in place of its own. Raises ModelError."""
    model = parse(path)
    (entry,) = (entry for entry in model.metadata_props if entry.key == KEY)
    entry.value = card.to_json()
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def load(path: Path | str) -> tuple[Network, Card]:
    """Rebuild the network of a model file, in eval, with everything able to learn; and its card.

    Raises ModelError for a file that is not limner's, is damaged or newer than this limner.
    """
    model = parse(path)
    card = card_of({entry.key: entry.value for entry in model.metadata_props}, str(path))
    try:
        network = build(card.network["name"], card.network["arguments"])
    except RecipeError as error:
        raise ModelError(f"{path}: its network cannot be built: {error}") from error
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue  # a count that only training without momentum reads; files do not hold it
        if name not in stored or list(stored[name].dims) != list(value.shape):
            raise ModelError(
                f"{path}: its weights do not fit its network at {name}; export the model again"
            )
        state[name] = torch.from_numpy(numpy_helper.to_array(stored[name]).copy())
    network.load_state_dict(state)
    return network.eval(), card


def parse(path: Path | str) -> onnx.ModelProto:
    """The ONNX file as a document. Raises ModelError if it is none."""
    problem = f"{path}: not an ONNX file, or cut short; get a whole copy of the model file"
    try:
        model = onnx.load_model_from_string(read_model(path))
    except DecodeError as error:
        raise ModelError(problem) from error
    if not model.graph.node:  # some other bytes pass for a document of nothing
        raise ModelError(problem)
    return model


def check_card(network: Network, card: Card) -> None:
    """Raise ModelError unless the card describes this network."""
    arguments = network.arguments
    name = {kind: name for name, kind in NETWORKS.items()}.get(type(network))
    # A card may be older than an argument, which then has its default.
    parameters = inspect.signature(type(network)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    said = {**card.network, "arguments": {**defaults, **card.network["arguments"]}}
    pairs = {
        "network": (said, {"name": name, "arguments": arguments}),
        "multiple": (card.multiple, network.multiple),
        "stride": (card.stride, network.stride),
        "classes": (len(card.palette), arguments["NC"]),
        "input channels": (CHANNELS[card.input], arguments["NIn"]),
    }
    for what, (told, found) in pairs.items():
        if told != found:
            raise ModelError(
                f"{card.name}: the card says {what} {told}, the network has {found}; "
                "write the network's own into the card"
            )


def to_onnx(outputs: Outputs, card: Card) -> onnx.ModelProto:
    """The ONNX graph with free N, H and W, weights unfolded and named as in the network."""
    multiple = outputs.network.multiple
    sample = torch.zeros(2, CHANNELS[card.input], 2 * multiple, 3 * multiple)
    free = {0: torch.export.Dim("N")}
    free |= {2: multiple * torch.export.Dim("H"), 3: multiple * torch.export.Dim("W")}
    program = torch.onnx.export(
        outputs,
        (sample,),
        input_names=["image" if card.input == "rgb" else "light"],
        output_names=["logits", "features"],
        dynamic_shapes=(free,),
        dynamo=True,
        optimize=False,  # would fold the norms into the convolutions
        external_data=False,
        verbose=False,
    )
    assert program is not None  # with dynamo=True there always is one
    model: onnx.ModelProto = program.model_proto
    graph = model.graph
    # The exporter notes on every part where in which source file it comes from.
    graph.ClearField("metadata_props")
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
    weights = {t.name.removeprefix(PREFIX) for t in graph.initializer if t.name.startswith(PREFIX)}

    def named(name: str) -> str:
        """A weight's name in the network; another name for a value that has it already (`mean`)."""
        return f"{name}.value" if name in weights else name.removeprefix(PREFIX)

    for part in (*graph.initializer, *graph.value_info):
        part.name = named(part.name)
    for node in graph.node:
        node.input[:], node.output[:] = map(named, node.input), map(named, node.output)
    return model


def compare(outputs: Outputs, content: bytes, card: Card, path: Path) -> None:
    """Raise ModelError unless ONNX Runtime gives torch's numbers at several shapes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    random = torch.Generator().manual_seed(0)
    for N, rows, columns in COMPARED:
        H, W = rows * card.multiple, columns * card.multiple
        x = torch.rand(N, CHANNELS[card.input], H, W, generator=random)
        with torch.inference_mode():
            expected = outputs(x)
        found = session.run(["logits", "features"], {given: x.numpy()})
        for name, ours, theirs in zip(("logits", "features"), expected, found, strict=True):
            difference = float(np.abs(ours.numpy() - theirs).max())
            allowed = TOLERANCE * max(1.0, float(ours.abs().max()))
            if not difference < allowed:  # holds for a NaN too, and where both are infinite
                raise ModelError(
                    f"{path}: not written: at {N} x {H} x {W} its {name} differ by "
                    f"{difference:.2g} from torch's, more than {allowed:.2g}; "
                    "check the weights for numbers that are huge or not finite"
                )
