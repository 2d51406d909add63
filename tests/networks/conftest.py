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
STIRRED = ("mobilenet_v3_large",)  # of the input nothing arrives at its end where all is random
LOGITS = 20  # about the largest that a trained network says
Exported = Callable[..., tuple[Network, Path]]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """exported(name, encoder=...): the network at its defaults but for that (a pyramid: on a small
    encoder), in eval, and its model file. Logits of those that segment are as large as trained
    ones."""
    made: dict[str, tuple[Network, Path]] = {}

    def get(name: str, **arguments: object) -> tuple[Network, Path]:
        kind = "-".join([name, *map(str, arguments.values())])
        if kind not in made:
            torch.manual_seed(0)
            network = build(name, {"NC": 7, **SMALLER.get(name, {}), **arguments})
            segments = network.arguments["NIn"] == 3
            if arguments.get("encoder") in STIRRED:
                take_statistics(network)
            for buffer_name, buffer in network.named_buffers():
                if buffer_name.endswith("running_mean"):  # as if trained: statistics matter
                    buffer.add_(torch.empty_like(buffer).uniform_(-0.1, 0.1))
            network.eval()
            if segments:
                enlarge(network)
            path = tmp_path_factory.mktemp(kind) / f"{name}.onnx"
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
            made[kind] = (network, path)
        return made[kind]

    return get


@torch.no_grad()
def take_statistics(network: Network) -> None:
    """Let all norms have the statistics of one batch."""
    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(torch.rand(4, 3, 64, 64))


@torch.no_grad()
def enlarge(network: Network) -> None:
    """Scale the last layer until the logits reach LOGITS."""
    sides = 3 * network.multiple, 2 * network.multiple
    largest = network(torch.rand(1, int(network.arguments["NIn"]), *sides)).abs().max()
    for parameter in network.get_submodule(network.last_layer).parameters():
        parameter.mul_(LOGITS / largest)
