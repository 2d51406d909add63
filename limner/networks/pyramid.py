"""A pretrained encoder and a small decoder that joins its maps from coarse to fine.

The decoder is a feature pyramid (Lin et al. 2017), narrowed where maps are large.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import RecipeError
from limner.networks.encoder import build_encoder, load_encoder_weights, normalization
from limner.networks.network import Network, check_counts, check_sides


def convolve(channels_in: int, channels_out: int, k: int, *, relu: bool) -> nn.Sequential:
    """Convolution that keeps the sides, batch norm and, if told so, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, k, padding=(k - 1) // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Decoder(nn.Module):
    """Maps at strides 4, 8, 16, 32 with `channels` -> one map [N, width / 2, H/4, W/4].

    Each map passes a 1 x 1 convolution ("lateral"), is added to the coarser result doubled, and is
    smoothed by a 3 x 3 convolution. Stride 4 holds most pixels, so it gets half the width.
    """

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        narrow = width // 2
        self.lateral4 = convolve(channels[0], narrow, 1, relu=False)
        self.lateral8 = convolve(channels[1], width, 1, relu=False)
        self.lateral16 = convolve(channels[2], width, 1, relu=False)
        self.lateral32 = convolve(channels[3], width, 1, relu=False)
        self.smooth32 = convolve(width, width, 3, relu=True)
        self.smooth16 = convolve(width, width, 3, relu=True)
        self.smooth8 = convolve(width, width, 3, relu=True)
        self.narrow8 = convolve(width, narrow, 1, relu=False)
        self.smooth4 = convolve(narrow, narrow, 3, relu=True)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x4, x8, x16, x32 = maps
        y: Tensor = self.smooth32(self.lateral32(x32))
        y = self.smooth16(self.lateral16(x16) + double(y))
        y = self.smooth8(self.lateral8(x8) + double(y))
        y = self.smooth4(self.lateral4(x4) + double(self.narrow8(y)))
        return y


def double(x: Tensor) -> Tensor:
    """Nearest-neighbor upsampling by 2."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Pyramid(Network):
    """A timm encoder and a decoder; its logits stand at a quarter of the input's sides.

    encoder: "timm/NAME", built with random weights (`encoder.load_encoder_weights` gives trained
    ones); NC: classes; NIn: 1 (repeated to three channels) or 3; width: the decoder's channels.
    x: [N, NIn, H, W] in 0..1, normalized inside as the encoder wants it.
    features: [N, width / 2, H/4, W/4]; logits: [N, NC, H/4, W/4].
    """

    multiple = 32
    stride = 4
    last_layer = "last"
    encoder_part = "encoder"

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        encoder: str = "timm/tf_efficientnet_lite0",
        NC: int = 24,
        NIn: int = 1,
        width: int = 128,
    ) -> None:
        super().__init__({"encoder": encoder, "NC": NC, "NIn": NIn, "width": width})
        check_counts(NC=NC, width=width)
        if NIn not in (1, 3):
            raise RecipeError(f"network argument NIn = {NIn!r}; a pyramid takes 1 or 3 channels")
        if width % 2:
            raise RecipeError(f"network argument width = {width} is odd; give an even number")
        self.encoder, channels = build_encoder(encoder)
        self.decoder = Decoder(channels, width)
        self.last = nn.Conv2d(width // 2, NC, 1)
        for name, values in zip(("mean", "std"), normalization(encoder), strict=True):
            # Not persistent: they follow from the encoder's name and are no weights.
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def load_pretrained(self) -> None:
        self.encoder.load_state_dict(load_encoder_weights(str(self.arguments["encoder"])))

    def features(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple)
        y: Tensor = self.decoder(self.encoder((x - self.mean) / self.std))  # 1 channel becomes 3
        return y

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.last(features)
        return logits
