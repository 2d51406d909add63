"""What several folders of tests share: a model that segments, small enough to know by heart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from limner.card import Card
from limner.masks.labels import voc_colors
from limner.palette import Palette

SHARP = 50  # of the logits: high enough to be sure, low enough that no probability vanishes


@pytest.fixture
def labels() -> Palette:
    """Four classes in VOC's first colors; the background is black."""
    return Palette("rgb", voc_colors(4), ("background", "cat", "dog", "cow"))


@pytest.fixture
def segmenting(tmp_path: Path, labels: Palette) -> Callable[..., str]:
    """segmenting(palette, ...) writes a model that gives each cell the class whose color is nearest
    to its mean color, so that a picture in the classes' colors tells its own mask."""

    def make(palette: Palette = labels, stride: int = 4, **changes: Any) -> str:
        K = len(palette)
        colors = palette.colors / 255  # |x - c|^2 less |x|^2 is linear in x
        each = SHARP * 2 * colors / stride**2
        weights = np.broadcast_to(each[:, :, None, None], (K, 3, stride, stride))
        biases = -SHARP * (colors**2).sum(axis=1)
        graph = helper.make_graph(
            [helper.make_node("Conv", ["image", "w", "b"], ["logits"], strides=[stride, stride])],
            "nearest",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", K, "h", "w"])],
            [
                helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel()),
                helper.make_tensor("b", TensorProto.FLOAT, [K], biases),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        card: dict[str, Any] = {
            "name": "nearest", "task": "segment", "network": {"name": "none", "arguments": {}},
            "input": "rgb", "working_size": 64, "stride": stride, "multiple": stride,
            "palette": palette,
        }  # fmt: skip
        helper.set_model_props(model, {"limner": Card(**{**card, **changes}).to_json()})
        path = tmp_path / "nearest.onnx"
        onnx.save(model, path)
        return str(path)

    return make
