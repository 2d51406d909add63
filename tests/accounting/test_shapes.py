"""The picture of shapes: boxes and skips of networks whose plan is known."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from limner.accounting import shapes
from limner.accounting.account import account
from limner.drawing import render
from limner.errors import AccountError
from limner.networks.cnn import CNN
from limner.networks.unet import UNet


def boxes_of(build: object, *size: int) -> list[shapes.Box]:
    counted = account(build, input=size)  # type: ignore[arg-type]
    return shapes.boxes(counted.operations, counted.input[0])


def test_the_unet_has_three_skips_and_the_cnn_none() -> None:
    unet = boxes_of(UNet, 1, 32, 32)
    names = [box.name for box in unet]
    assert names == [
        "input", "b1.conv", "b1.resize", "b2.conv", "b2.resize", "b3.conv", "join", "b4.conv",
        "b4.resize", "join", "b5.conv", "b5.resize", "join", "out",
    ]  # fmt: skip
    found = [(names[a], unet[b].shape) for a, b in shapes.skips(unet)]
    assert found == [
        ("b2.resize", (128, 8, 8)), ("b1.resize", (64, 16, 16)), ("input", (25, 32, 32)),
    ]  # fmt: skip
    assert shapes.skips(boxes_of(CNN, 1, 32, 32)) == []


def test_a_residual_network_has_a_skip_a_block() -> None:
    boxes = boxes_of(torchvision.models.resnet18, 3, 64, 64)
    assert [box.name for box in boxes].count("+") == 8
    assert {boxes[end].name for _, end in shapes.skips(boxes)} > {"+"}


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.relu()
        return torch.cat([y.sigmoid(), y.tanh(), torch.ones_like(x)], 1)


def test_branches_are_boxes_of_their_own() -> None:
    names = [(box.name, box.sources) for box in boxes_of(Branches(), 3, 4, 4)]
    assert names[0] == ("input", ()) and names[1][1] == (0,)
    assert names[-1][0] == "join" and len(names[-1][1]) >= 2


def test_arcs_that_run_over_each_other_differ_in_height() -> None:
    arcs = [(0, 9), (1, 4), (4, 7), (2, 3)]
    assert shapes.levels(arcs) == [2, 1, 0, 0]


def test_the_picture_is_the_same_every_time_and_shows_every_shape() -> None:
    counted = account(UNet, input=(1, 32, 32))
    svg = [
        render(shapes.draw(counted.operations, counted.input[0], "unet"), "svg") for _ in range(2)
    ]
    assert svg[0] == svg[1]
    text = svg[0].decode()
    for box in shapes.boxes(counted.operations, counted.input[0]):
        assert "x".join(map(str, box.shape)) in text and box.name in text


def test_a_network_without_sides_can_be_drawn() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    counted = account(net, input=(4,))
    assert b"8" in render(shapes.draw(counted.operations, counted.input[0], "mlp"), "svg")


def test_a_picture_of_too_many_boxes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "MOST", 13)
    counted = account(UNet, input=(1, 32, 32))
    with pytest.raises(AccountError, match="14 boxes, more than 13"):
        shapes.draw(counted.operations, counted.input[0], "unet")
