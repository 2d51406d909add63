"""A network that sees a*x + b and says exactly what a given network says of x.

A convolution sees the same if w' = w / a and bias' = bias - (b / a) * sum(w), and if its padding,
which was 0 in x, is b in a*x + b. That concerns every convolution that the picture enters: the
first one, and in a UNet the picture's channel of the last.
"""

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from limner.errors import RecipeError
from limner.networks.cnn import CNN
from limner.networks.unet import UNet

WriteUp = TypeVar("WriteUp", bound=CNN | UNet)


class PictureConv(nn.Conv2d):
    """A square convolution whose last `pictures` input channels are padded with `border`, not 0.

    [N, C, H, W] -> [N, C', H, W], with the weights of the convolution that it is made from.
    """

    def __init__(self, conv: nn.Conv2d, pictures: int, border: float) -> None:
        k = conv.kernel_size[0]
        super().__init__(conv.in_channels, conv.out_channels, k, padding=k // 2)
        self.to(conv.weight)
        self.load_state_dict(conv.state_dict())
        self.pictures = pictures
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        around = [self.kernel_size[0] // 2] * 4
        others = x.shape[1] - self.pictures
        padded = [pad(x[:, :others], around), pad(x[:, others:], around, value=self.border)]
        return conv2d(torch.cat(padded, dim=1), self.weight, self.bias)


def absorb(network: WriteUp, a: float, b: float) -> WriteUp:
    """A copy of the network that gives, for a*x + b, the logits that `network` gives for x.

    Equal but for rounding: divide by an a near 0, or shift by a b far above a, and float32 loses
    digits. In training mode too: every batch norm is handed what it was handed before. Raises
    RecipeError unless a and b are finite and a is not 0 (a constant input says nothing of x).
    """
    if not (math.isfinite(a) and math.isfinite(b)) or a == 0:
        raise RecipeError(f"input {a:g}*x + {b:g}; give finite numbers, and an a other than 0")
    twin = copy.deepcopy(network)
    twin.b1.conv = absorbed(network.b1.conv, network.b1.conv.in_channels, a, b)
    if isinstance(twin, UNet) and "picture" in twin.skips:
        twin.out = absorbed(network.out, network.b1.conv.in_channels, a, b)
    return twin


@torch.no_grad()
def absorbed(conv: nn.Conv2d, pictures: int, a: float, b: float) -> PictureConv:
    """The convolution whose last `pictures` input channels hold a*x + b in place of x."""
    assert conv.bias is not None  # all of the write-up's convolutions have one
    twin = PictureConv(conv, pictures, b)
    seen = conv.weight[:, -pictures:].double()  # [C', pictures, k, k]
    shift = b / a * seen.sum(dim=(1, 2, 3))
    twin.weight[:, -pictures:] = (seen / a).to(conv.weight)
    twin.get_parameter("bias").copy_(conv.bias.double() - shift)
    return twin
