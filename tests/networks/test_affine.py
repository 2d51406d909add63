"""The network for a*x + b: exact, border included; and every shortcut to it fails."""

import copy

import pytest
import torch
from torch import Tensor

from limner.errors import RecipeError
from limner.networks.affine import PictureConv, absorb
from limner.networks.cnn import CNN
from limner.networks.unet import UNet

SIDE = 64
REACH = 15  # pixels from the edge that the first layer's padding reaches: six layers, two halvings
EXACT = 1e-12  # float64, logits of the order of 1

Made = CNN | UNet


def trained(kind: str, seed: int = 0) -> Made:
    """A network in float64 and eval mode, every weight and statistic away from its first value."""
    torch.manual_seed(seed)
    network: Made = CNN(NF=8, NC=6) if kind == "cnn" else UNet(NF=8, NC=6)
    for name, value in network.state_dict().items():
        if name.endswith(("norm.weight", "running_var")):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("norm.bias", "running_mean")):
            value.uniform_(-0.5, 0.5)
    return network.double().eval()


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.rand(2, 1, SIDE, SIDE, dtype=torch.float64, generator=torch.manual_seed(1))


@torch.no_grad()
def differences(network: Made, twin: Made, x: Tensor, a: float, b: float) -> tuple[float, float]:
    """Largest difference of logits: within reach of the border, and beyond it."""
    away = (twin(a * x + b) - network(x)).abs()
    inside = away[..., REACH:-REACH, REACH:-REACH]
    border = away.clone()
    border[..., REACH:-REACH, REACH:-REACH] = 0
    return float(border.max()), float(inside.max())


def pairs() -> list[tuple[float, float]]:
    """Random (a, b): sizes from 0.1 to 10, of both signs, and the corners of the study."""
    generator = torch.manual_seed(2)
    sizes = 10 ** (2 * torch.rand(6, generator=generator) - 1)
    shifts = 6 * torch.rand(6, generator=generator) - 3
    signs = [1, -1, 1, -1, 1, -1]
    drawn = [(float(a) * s, float(b)) for a, b, s in zip(sizes, shifts, signs, strict=True)]
    return [*drawn, (255.0, 0.0), (0.01, 0.0), (1.0, -0.5), (-1.0, 1.0)]


@pytest.mark.parametrize("kind", ["cnn", "unet"])
@pytest.mark.parametrize(("a", "b"), pairs())
def test_it_says_the_same_border_included(kind: str, a: float, b: float, x: Tensor) -> None:
    network = trained(kind)
    border, inside = differences(network, absorb(network, a, b), x, a, b)
    assert border < EXACT
    assert inside < EXACT


@pytest.mark.parametrize("kind", ["cnn", "unet"])
def test_zero_padding_fails_at_the_border_only(kind: str, x: Tensor) -> None:
    network = trained(kind)
    twin = absorb(network, -2.0, 0.7)
    for part in twin.modules():
        if isinstance(part, PictureConv):
            part.border = 0.0
    border, inside = differences(network, twin, x, -2.0, 0.7)
    assert border > 1e-3
    assert inside < EXACT


def test_a_unet_whose_last_layer_stays_fails_everywhere(x: Tensor) -> None:
    network = trained("unet")
    twin = absorb(network, -2.0, 0.7)
    twin.out = network.out
    assert min(differences(network, twin, x, -2.0, 0.7)) > 1e-2


@pytest.mark.parametrize("kind", ["cnn", "unet"])
def test_the_formula_of_the_writeup_fails(kind: str, x: Tensor) -> None:
    network = trained(kind)
    a, b = 2.0, 0.7
    twin = absorb(network, a, b)
    with torch.no_grad():
        for conv, old in ((twin.b1.conv, network.b1.conv), (twin.out, network.out)):
            if isinstance(conv, PictureConv):
                conv.weight[:, -1:] = (old.weight[:, -1:] - b) / a
                conv.load_state_dict({"weight": conv.weight, "bias": old.bias})
    assert min(differences(network, twin, x, a, b)) > 1e-2


@pytest.mark.parametrize("kind", ["cnn", "unet"])
def test_training_mode_says_the_same_too(kind: str, x: Tensor) -> None:
    network = trained(kind).train()
    twin = absorb(network, -3.0, 1.5).train()
    assert max(differences(network, twin, x, -3.0, 1.5)) < 1e-11  # statistics are sums of many
    for name, value in network.named_buffers():
        assert torch.allclose(value, twin.get_buffer(name), rtol=1e-12, atol=1e-12)


def test_a_unet_without_the_pictures_skip_keeps_its_last_layer(x: Tensor) -> None:
    torch.manual_seed(0)
    network = UNet(NF=8, NC=6, skips="b1").double().eval()
    twin = absorb(network, 3.0, -0.4)
    assert not isinstance(twin.out, PictureConv)
    assert max(differences(network, twin, x, 3.0, -0.4)) < EXACT


def test_several_input_channels_and_a_wider_kernel() -> None:
    torch.manual_seed(0)
    network = UNet(k=5, NF=8, NC=6, NIn=3).double().eval()
    x = torch.rand(1, 3, 16, 24, dtype=torch.float64)
    with torch.no_grad():
        away = absorb(network, -0.3, 0.9)(-0.3 * x + 0.9) - network(x)
    assert float(away.abs().max()) < EXACT


def test_the_given_network_stays_as_it_was(x: Tensor) -> None:
    network = trained("unet")
    before = copy.deepcopy(network.state_dict())
    twin = absorb(network, 2.0, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert twin.state_dict().keys() == before.keys()
    assert twin.b1.conv.weight.dtype == torch.float64


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (float("nan"), 0.0), (1.0, float("inf"))])
def test_what_loses_the_picture_is_one_line(a: float, b: float) -> None:
    with pytest.raises(RecipeError, match="other than 0"):
        absorb(trained("cnn"), a, b)
