"""A UNet of residual blocks that works on cells of 2 x 2 pixels, and knows a look-up.

Stronger than the write-up's UNet at its job, and small. Chroma is smooth, so that nothing is
computed at full size: a cell's four pixels are four channels on the way in and four distributions
on the way out. Residual blocks: He et al. 2016; the UNet: Ronneberger et al. 2015; pixels as
channels: Shi et al. 2016.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import RecipeError
from limner.lookup import GREYS, Lookup
from limner.networks.network import Network, check_counts, check_kernel, check_sides

CELL = 2  # pixels a side


class Residual(nn.Module):
    """x + what two convolutions make of it, then ReLU: [N, channels, H, W] -> the same shape."""

    def __init__(self, channels: int, k: int) -> None:
        super().__init__()
        padding = (k - 1) // 2
        self.conv1 = nn.Conv2d(channels, channels, k, padding=padding, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, k, padding=padding, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm2.weight)  # begins as x alone, which learns faster

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


class Up(nn.Module):
    """Coarse maps, doubled, added to the skipped ones: -> [N, channels_out, 2H, 2W]."""

    def __init__(self, channels_in: int, channels_out: int, k: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels_in, channels_out, 1)
        self.change = Change(channels_out, channels_out, k)

    def forward(self, x: Tensor, skipped: Tensor) -> Tensor:
        doubled = F.interpolate(self.narrow(x), scale_factor=2.0, mode="nearest")
        y: Tensor = self.change(doubled + skipped)
        return y


class Head(nn.Module):
    """Cells [N, channels + 4 NIn, h, w], the pixels themselves last -> logits [N, NC, 2h, 2w].

    With `greys`, log P(class | grey level) of each pixel is added, from a table that is counted
    (`ResUNet.count`) and does not learn; the network then says how a pixel differs from it.
    """

    def __init__(self, channels: int, NC: int, NIn: int, greys: int) -> None:
        super().__init__()
        self.pixels, self.greys = CELL**2 * NIn, greys
        self.conv = nn.Conv2d(channels + self.pixels, CELL**2 * NC, 1)
        if greys:
            nn.init.zeros_(self.conv.weight)  # begins as the look-up alone
            self.register_buffer("table", torch.zeros(greys, NC))

    def forward(self, cells: Tensor) -> Tensor:
        logits = F.pixel_shuffle(self.conv(cells), CELL)
        if self.greys:
            light = F.pixel_shuffle(cells[:, -self.pixels :], CELL)[:, 0]
            said = F.embedding(grey_levels(light), self.get_buffer("table"))
            logits = logits + said.permute(0, 3, 1, 2)
        return logits


def grey_levels(light: Tensor) -> Tensor:
    """The nearest of the 256 levels of each light in 0..1, of any shape: 0..255."""
    return (light * (GREYS - 1)).round().clamp(0, GREYS - 1).long()


class ResUNet(Network):
    """Down to an eighth of the sides through residual blocks, and up again past the skips.

    k: kernel size (odd); NF: width (2NF at a quarter of the sides, 3NF at an eighth); NC: classes;
    NIn: input channels; greys: rows of the look-up's table, 256 for 8-bit light, 0 for none.
    features: [N, NF + 4 NIn, H/2, W/2]; logits: [N, NC, H, W]. 835,920 parameters at the
    defaults.
    """

    multiple = 8
    stride = 1
    last_layer = "out"

    def __init__(
        self, *, k: int = 3, NF: int = 48, NC: int = 24, NIn: int = 1, greys: int = 0
    ) -> None:
        super().__init__({"k": k, "NF": NF, "NC": NC, "NIn": NIn, "greys": greys})
        check_kernel(k)
        check_counts(NF=NF, NC=NC, NIn=NIn)
        if greys not in (0, GREYS) or (greys and NIn != 1):
            raise RecipeError(
                f"network argument greys = {greys!r} with NIn = {NIn}; give 0, or {GREYS} with "
                "one input channel"
            )
        self.enter = Change(CELL**2 * NIn, NF, k)
        self.down4 = nn.Sequential(Change(NF, 2 * NF, k, stride=2), Residual(2 * NF, k))
        self.down8 = nn.Sequential(Change(2 * NF, 3 * NF, k, stride=2), Residual(3 * NF, k))
        self.up4 = Up(3 * NF, 2 * NF, k)
        self.up2 = Up(2 * NF, NF, k)
        self.out = Head(NF, NC, NIn, greys)

    def count(self, light: Tensor, classes: Tensor) -> None:
        """Fill the look-up's table from training pictures: light [n, 1, H, W] in 0..1, classes
        [n, H, W]. Without a table, nothing happens."""
        if self.out.greys:
            levels = grey_levels(light[:, 0]).numpy()
            lookup = Lookup.count(
                [(levels, classes.numpy())], self.out.get_buffer("table").shape[1]
            )
            self.out.get_buffer("table").copy_(torch.from_numpy(lookup.logs))

    def features(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple)
        pixels = F.pixel_unshuffle(x, CELL)  # [N, 4 NIn, H/2, W/2]
        y2 = self.enter(pixels)  # [N, NF, H/2, W/2]
        y4 = self.down4(y2)  # [N, 2NF, H/4, W/4]
        y8 = self.down8(y4)  # [N, 3NF, H/8, W/8]
        y = self.up2(self.up4(y8, y4), y2)
        return torch.cat([y, pixels], dim=1)

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.out(features)
        return logits
