"""A model file and its card, read without torch: one .onnx file is a whole model.

The card is one JSON document in the file's metadata, under the key `limner`.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from limner.errors import ModelError, PaletteError
from limner.palette import Palette

FORMAT = 1
KEY = "limner"
TASKS = ("colorize", "segment")
CHANNELS = {"light": 1, "mean": 1, "rgb": 3}  # of the network's input, by its kind

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Card:
    """All that a model file says about itself beside its weights.

    network: {"name": ..., "arguments": {...}}, from which the learning half rebuilds it.
    input: what the network sees, in 0..1: "light" is L* / 100, "mean" the mean of sRGB's three
    channels / 255, "rgb" sRGB / 255. working_size: short side of what it sees, in pixels.
    stride: input pixels per output pixel. multiple: what both input sides must be divisible by.
    class_weights: those of the training loss, or None; decoding divides them out.
    temperature, chroma: decoding's, above 0 (`paint/decode.py`). recipe, data, scores, license:
    where the model comes from, how good it is, and the terms of its use. extra: keys that this
    limner does not know, kept.
    """

    name: str
    task: str
    network: dict[str, Any]
    input: str
    working_size: int
    stride: int
    multiple: int
    palette: Palette
    class_weights: tuple[float, ...] | None = None
    temperature: float = 1.0
    chroma: float = 1.0
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    license: str = ""
    format: int = FORMAT
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One JSON document; there and back is exact. ModelError for a number that is not finite.

        Unknown keys stand beside the known ones, where they were found.
        """
        document = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        document["palette"] = self.palette.to_json()
        try:
            return json.dumps({**self.extra, **document}, allow_nan=False)
        except ValueError as error:
            raise ModelError(
                f"{self.name}: its card holds a number that is not finite; give finite ones"
            ) from error

    @classmethod
    def from_json(cls, text: str, source: str) -> "Card":
        """Read what `to_json` wrote; `source` names the file in errors. Raises ModelError."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ModelError(f"{source}: its card is not JSON; get a whole copy") from error
        if not isinstance(document, dict) or not _whole(document.get("format")):
            raise ModelError(f"{source}: its card has no format number; it is not a limner model")
        if document["format"] > FORMAT:
            raise ModelError(
                f"{source}: made by a newer limner (format {document['format']}, "
                f"this one reads {FORMAT}); upgrade limner"
            )
        known = {f.name for f in fields(cls)} - {"extra"}
        for key in sorted(known):
            if key not in document:
                raise ModelError(f"{source}: its card lacks {key!r}; export the model again")
            wanted, good = CHECKS[key]
            if not good(document[key]):
                raise ModelError(
                    f"{source}: its card says {key} = {document[key]!r:.60}, which should be "
                    f"{wanted}; export the model again"
                )
        values = {key: document[key] for key in known}
        try:
            values["palette"] = Palette.from_json(document["palette"])
        except PaletteError as error:
            raise ModelError(f"{source}: its card's {error}; export the model again") from error
        weights = document["class_weights"]
        values["class_weights"] = None if weights is None else tuple(weights)
        if weights is not None and len(weights) != len(values["palette"]):
            raise ModelError(
                f"{source}: its card has {len(weights)} class weights for "
                f"{len(values['palette'])} classes; export the model again"
            )
        extra = {key: value for key, value in document.items() if key not in known}
        return cls(**values, extra=extra)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _positive(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value > 0


def _network(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("arguments"), dict)
    )


def _weights(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(map(_positive, value)))


_TEXT = ("text", lambda value: isinstance(value, str))
_TABLE = ("a table", lambda value: isinstance(value, dict))
_NUMBER = ("a number above 0", _positive)
_COUNT = ("a whole number above 0", _whole)

# What each key of a card must hold, in words and as a check.
CHECKS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "name": _TEXT,
    "task": (f"one of {', '.join(TASKS)}", lambda value: value in TASKS),
    "network": ("a name and arguments", _network),
    "input": (f"one of {', '.join(CHANNELS)}", lambda value: value in list(CHANNELS)),
    "working_size": _COUNT,
    "stride": _COUNT,
    "multiple": _COUNT,
    "palette": _TABLE,
    "class_weights": ("nothing, or a list of numbers above 0", _weights),
    "temperature": _NUMBER,
    "chroma": _NUMBER,
    "recipe": _TABLE,
    "data": _TABLE,
    "scores": _TABLE,
    "license": _TEXT,
    "format": _COUNT,
}


class Model:
    """A model file, ready to run through ONNX Runtime.

    card: the Card. `device` "auto" takes CUDA where this
    ONNX Runtime has it. Raises ModelError for a file that is missing, no ONNX file, cut short, not
    limner's or newer than this limner, at odds with its card, and for a device that cannot be had.
    """

    def __init__(self, path: Path | str, device: Device = "auto") -> None:
        import onnxruntime

        self._path = path
        self._session = _session(read_model(path), str(path), _providers(device))
        if device == "cuda" and "CUDAExecutionProvider" not in self._session.get_providers():
            raise ModelError(
                f"CUDA did not start in onnxruntime {onnxruntime.__version__}; "
                "check the GPU's driver, or use --device cpu"
            )
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.card = card_of(metadata, str(path))
        self._input = self._session.get_inputs()[0].name
        _check_channels(self._session, self.card, str(path))

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes, in hex; read when it is asked for, since painting never asks."""
        return hashlib.sha256(read_model(self._path)).hexdigest()

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits [N, K, H/s, W/s] of x [N, C, H, W], in 0..1 as the card's `input` says.

        Raises ModelError unless the card's `multiple` divides H and W.
        """
        H, W = x.shape[-2:]
        multiple = self.card.multiple
        if H % multiple or W % multiple:
            padded = [-(-side // multiple) * multiple for side in (H, W)]
            raise ModelError(
                f"{self.card.name}: an input of {H} x {W} (height x width) is no multiple of "
                f"{multiple}; pad it to {padded[0]} x {padded[1]} by repeating its edge"
            )
        logits: NDArray[np.float32] = self._session.run(["logits"], {self._input: x})[0]
        return logits


def read_model(path: Path | str) -> bytes:
    """The bytes of a model file. Raises ModelError if it cannot be read, or is empty."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give a model file") from error
    if not content:
        raise ModelError(f"{path}: is empty; get a whole copy of the model file")
    return content


def card_of(metadata: Mapping[str, str], source: str) -> Card:
    """The card in a model file's metadata. Raises ModelError if there is none."""
    if KEY not in metadata:
        raise ModelError(
            f"{source}: an ONNX file without limner's card; give a file that `limner export` wrote"
        )
    return Card.from_json(metadata[KEY], source)


def _providers(device: Device) -> list[str]:
    import onnxruntime

    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not cuda:
        raise ModelError(
            f"onnxruntime {onnxruntime.__version__} comes without CUDA; "
            "install onnxruntime-gpu in its place, or use --device cpu"
        )
    chosen = ["CUDAExecutionProvider"] if cuda and device != "cpu" else []
    return [*chosen, "CPUExecutionProvider"]


def _session(content: bytes, source: str, providers: list[str]) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    # The extended optimizations take half of the start and save nothing on one picture.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.use_deterministic_compute = True
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except (
        failures.InvalidProtobuf,
        failures.InvalidGraph,
        failures.InvalidArgument,
        failures.NotImplemented,
        failures.RuntimeException,
        failures.Fail,
    ) as error:
        raise ModelError(
            f"{source}: not an ONNX file that onnxruntime {onnxruntime.__version__} can run, "
            "or cut short; get a whole copy of the model file"
        ) from error


def _check_channels(session: Any, card: Card, source: str) -> None:
    """Raise ModelError where the graph's channels, if it states them, are not the card's."""
    given, made = session.get_inputs(), {output.name: output for output in session.get_outputs()}
    if "logits" not in made:
        raise ModelError(
            f"{source}: its outputs are {', '.join(made)} and not logits; export the model again"
        )
    for what, tensor, channels in (
        ("input", given[0], CHANNELS[card.input]),
        ("output logits", made["logits"], len(card.palette)),
    ):
        shape = tensor.shape
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != channels):
            raise ModelError(
                f"{source}: its {what} has the shape {shape}, where its card asks for "
                f"{channels} channels; export the model again"
            )
