"""One export of every network, shared: an export takes seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from limner.card import Card
from limner.learn.export import export
from limner.networks import Network, build
from limner.palette import Palette

# The default encoder is exported once, in deeplabv3: it takes most of the seconds.
SMALLER: dict[str, dict[str, object]] = {"pyramid": {"encoder": "timm/test_efficientnet"}}


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Network, Path]]:
    """The network of a name at its defaults (a pyramid: on a small encoder), in eval, and its model
    file."""
    made: dict[str, tuple[Network, Path]] = {}

    def get(name: str) -> tuple[Network, Path]:
        if name not in made:
            torch.manual_seed(0)
            network = build(name, {"NC": 7, **SMALLER.get(name, {})})
            segments = network.arguments["NIn"] == 3
            for buffer_name, buffer in network.named_buffers():
                if buffer_name.endswith("running_mean"):  # as if trained: statistics matter
                    buffer.uniform_(-0.1, 0.1)
            path = tmp_path_factory.mktemp(name) / f"{name}.onnx"
            card = Card(
                name=name,
                task="segment" if segments else "colorize",
                network={"name": name, "arguments": network.arguments},
                input="rgb" if segments else "light",
                working_size=64,
                stride=network.stride,
                multiple=network.multiple,
                palette=Palette("ab", np.arange(14, dtype=np.float32).reshape(7, 2)),
            )
            export(network, card, path)
            made[name] = (network.eval(), path)
        return made[name]

    return get
