"""A UNet of residual blocks, stronger than the write-up's at its job and still small.

Residual blocks: He et al. 2016; the UNet: Ronneberger et al. 2015.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.networks.network import Network, check_counts, check_kernel, check_sides


class Residual(nn.Module):
    """x + what two convolutions make of it, then ReLU: [N, channels, H, W] -> the same shape."""

    def __init__(self, channels: int, k: int) -> None:
        super().__init__()
        padding = (k - 1) // 2
        self.conv1 = nn.Conv2d(channels, channels, k, padding=padding, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, k, padding=padding, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


class Change(nn.Module):
    """Convolution, batch norm, ReLU: to other channels and, at stride 2, to half the sides."""

    def __init__(self, channels_in: int, channels_out: int, k: int, stride: int = 1) -> None:
        super().__init__()
        padding = (k - 1) // 2
        self.conv = nn.Conv2d(channels_in, channels_out, k, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class ResUNet(Network):
    """Down to an eighth of the sides through residual blocks, and up again past the skips.

    k: kernel size (odd); NF: width (2NF below full size); NC: classes; NIn: input channels.
    features: [N, NF, H, W]; logits: [N, NC, H, W]. 515,768 parameters at the defaults.
    """

    multiple = 8
    stride = 1
    last_layer = "out"

    def __init__(self, *, k: int = 3, NF: int = 32, NC: int = 24, NIn: int = 1) -> None:
        super().__init__({"k": k, "NF": NF, "NC": NC, "NIn": NIn})
        check_kernel(k)
        check_counts(NF=NF, NC=NC, NIn=NIn)
        self.down1 = nn.Sequential(Change(NIn, NF, k), Residual(NF, k))
        self.down2 = nn.Sequential(Change(NF, 2 * NF, k, stride=2), Residual(2 * NF, k))
        self.down4 = nn.Sequential(Change(2 * NF, 2 * NF, k, stride=2), Residual(2 * NF, k))
        self.down8 = nn.Sequential(Change(2 * NF, 2 * NF, k, stride=2), Residual(2 * NF, k))
        self.up4 = Change(4 * NF, 2 * NF, k)
        self.up2 = Change(4 * NF, 2 * NF, k)
        self.up1 = Change(3 * NF, NF, k)
        self.out = nn.Conv2d(NF, NC, k, padding=(k - 1) // 2)

    def features(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple)
        y1 = self.down1(x)  # [N, NF, H, W]
        y2 = self.down2(y1)  # [N, 2NF, H/2, W/2]
        y4 = self.down4(y2)  # [N, 2NF, H/4, W/4]
        y = self.down8(y4)  # [N, 2NF, H/8, W/8]
        for up, skip in ((self.up4, y4), (self.up2, y2), (self.up1, y1)):
            doubled = F.interpolate(y, scale_factor=2.0, mode="nearest")
            y = up(torch.cat([doubled, skip], dim=1))
        features: Tensor = y  # [N, NF, H, W]
        return features

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.out(features)
        return logits
