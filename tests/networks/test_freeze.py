"""Frozen parts do not learn, build no graph, and keep their statistics."""

import pytest
import torch
from torch import Tensor, nn

from limner.errors import RecipeError
from limner.networks import Network, build
from limner.networks.freeze import freeze


class Toy(Network):
    """Twenty linear maps with norms and dropout, and a last layer."""

    multiple = 1
    stride = 1
    last_layer = "last"

    def __init__(self) -> None:
        super().__init__({})
        self.backbone = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5)) for _ in range(20)
        )
        self.last = nn.Conv2d(2, 3, 1)

    def features(self, x: Tensor) -> Tensor:
        for part in self.backbone:
            x = part(x)
        return x

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.last(features)
        return logits


def test_names_match_by_whole_components() -> None:
    toy = Toy()
    names = freeze(toy, ["backbone.1"])
    assert names == [f"backbone.1.{i}.{kind}" for i in (0, 1) for kind in ("weight", "bias")]
    assert names == [name for name, p in toy.named_parameters() if p.requires_grad]


def test_a_parameter_is_a_part_too() -> None:
    assert freeze(Toy(), ["last.bias"]) == ["last.bias"]
    assert freeze(Toy(), "last") == ["last.weight", "last.bias"]


def test_all_learns_and_undoes_freezing() -> None:
    toy = Toy()
    freeze(toy, ["last"])
    assert freeze(toy, "all") == [name for name, _ in toy.named_parameters()]
    assert all(part.training for part in toy.modules())


@pytest.mark.parametrize(
    ("part", "known"),
    [
        ("backbon", "backbone, last"),
        ("backbone.1.0.weigh", "backbone.1.0.weight, backbone.1.0.bias"),
        ("backbone.20", "backbone.0, backbone.1, .*, backbone.19"),
        ("backbone.0.2", "backbone.0.0, backbone.0.1"),  # dropout, which has nothing to learn
        ("last.bias.0", "last.weight, last.bias"),
        ("bone.0.last", "backbone, last"),
    ],
)
def test_an_unknown_part_is_refused(part: str, known: str) -> None:
    with pytest.raises(RecipeError, match=f"'{part}'; name parts of {known}, or all$"):
        freeze(Toy(), ["last", part])


def test_frozen_norms_and_dropout_stay_in_eval_through_train() -> None:
    toy = Toy()
    freeze(toy, ["backbone.3.0", "last"])
    statistics = [buffer.clone() for buffer in toy.buffers()]
    for mode in (True, True, False, True):
        toy.train(mode)
        toy(torch.randn(4, 2, 3, 3))
        assert toy.training is mode
        assert toy.last.training is mode
        assert not toy.backbone[3].get_submodule("1").training
        assert not toy.backbone[4].get_submodule("2").training
    assert all(torch.equal(a, b) for a, b in zip(statistics, toy.buffers(), strict=True))


def test_live_norms_move() -> None:
    toy = Toy()
    freeze(toy, ["backbone.3"])
    toy.train()(torch.randn(4, 2, 3, 3))
    moved = [name for name, b in toy.named_buffers() if name.endswith("tracked") and b > 0]
    assert moved == ["backbone.3.1.num_batches_tracked"]


def test_frozen_parts_build_no_graph_and_get_no_gradient() -> None:
    network = build("pyramid", {"encoder": "timm/test_efficientnet", "NC": 3, "width": 8})
    freeze(network, ["decoder", "last"])
    network.train()
    x = torch.rand(2, 1, 64, 64)
    seen: list[Tensor] = []
    network.get_submodule("encoder").register_forward_hook(lambda *hooked: seen.extend(hooked[2]))
    network(x).square().sum().backward()
    assert not any(m.requires_grad for m in seen)
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.startswith("encoder."), name


def test_freezing_takes_effect_at_once() -> None:
    toy = Toy().train()
    freeze(toy, ["last"])
    assert not toy.backbone.training
    toy.eval()
    freeze(toy, "all")
    assert not toy.training
