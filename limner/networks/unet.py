"""The write-up's UNet: its CNN with three skip connections."""

import torch
from torch import Tensor, nn

from limner.networks.cnn import Block, double, halve
from limner.networks.network import Network, check_counts, check_kernel, check_sides


class UNet(Network):
    """The colorization UNet of part B of the write-up that limner grew from.

    B4 sees B3 and B2, B5 sees B4 and B1, Out sees B5 and the picture, joined along the channels in
    that order. k: kernel size (odd); NF: width; NC: classes; NIn: input channels.
    features: [N, NC + NIn, H, W]; logits: [N, NC, H, W]. 112,344 parameters at the defaults.
    """

    multiple = 4
    stride = 1
    last_layer = "out"

    def __init__(self, *, k: int = 3, NF: int = 32, NC: int = 24, NIn: int = 1) -> None:
        super().__init__({"k": k, "NF": NF, "NC": NC, "NIn": NIn})
        check_kernel(k)
        check_counts(NF=NF, NC=NC, NIn=NIn)
        self.b1 = Block(NIn, NF, k, halve())
        self.b2 = Block(NF, 2 * NF, k, halve())
        self.b3 = Block(2 * NF, 2 * NF, k, nn.Identity())
        self.b4 = Block(4 * NF, NF, k, double())
        self.b5 = Block(2 * NF, NC, k, double())
        self.out = nn.Conv2d(NC + NIn, NC, k, padding=(k - 1) // 2)

    def features(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple)
        y1 = self.b1(x)  # [N, NF, H/2, W/2]
        y2 = self.b2(y1)  # [N, 2NF, H/4, W/4]
        y3 = self.b3(y2)  # [N, 2NF, H/4, W/4]
        y4 = self.b4(torch.cat([y3, y2], dim=1))  # [N, NF, H/2, W/2]
        y5 = self.b5(torch.cat([y4, y1], dim=1))  # [N, NC, H, W]
        return torch.cat([y5, x], dim=1)

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.out(features)
        return logits
