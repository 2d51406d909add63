"""The write-up's UNet: its CNN with three skip connections."""

import torch
from torch import Tensor, nn

from limner.errors import RecipeError
from limner.networks.cnn import Block, double, halve
from limner.networks.network import Network, check_counts, check_kernel, check_sides

SKIPS = ("b2", "b1", "picture")  # what they hand on, from the innermost to the outermost


def parse_skips(skips: str) -> tuple[str, ...]:
    """The names of a list like "b2,picture", or "none". RecipeError for any other."""
    names = () if skips == "none" else tuple(name.strip() for name in skips.split(","))
    if len(set(names)) < len(names) or not set(names) <= set(SKIPS):
        raise RecipeError(
            f"network argument skips = {skips!r}; give some of {','.join(SKIPS)}, or none"
        )
    return names


class UNet(Network):
    """The colorization UNet of part B of the write-up that limner grew from.

    B4 sees B3 and B2, B5 sees B4 and B1, Out sees B5 and the picture, joined along the channels in
    that order. k: kernel size (odd); NF: width; NC: classes; NIn: input channels; skips: those of
    the three that there are, by what they hand on ("b2,b1,picture", or "none": the CNN).
    features: [N, NC + NIn, H, W]; logits: [N, NC, H, W]. 112,344 parameters at the defaults.
    """

    multiple = 4
    stride = 1
    last_layer = "out"

    def __init__(
        self, *, k: int = 3, NF: int = 32, NC: int = 24, NIn: int = 1,
        skips: str = ",".join(SKIPS),
    ) -> None:  # fmt: skip
        super().__init__({"k": k, "NF": NF, "NC": NC, "NIn": NIn, "skips": skips})
        check_kernel(k)
        check_counts(NF=NF, NC=NC, NIn=NIn)
        self.skips = parse_skips(skips)
        from_b2, from_b1, from_picture = (name in self.skips for name in SKIPS)
        self.b1 = Block(NIn, NF, k, halve())
        self.b2 = Block(NF, 2 * NF, k, halve())
        self.b3 = Block(2 * NF, 2 * NF, k, nn.Identity())
        self.b4 = Block(2 * NF * (1 + from_b2), NF, k, double())
        self.b5 = Block(NF * (1 + from_b1), NC, k, double())
        self.out = nn.Conv2d(NC + NIn * from_picture, NC, k, padding=(k - 1) // 2)

    def features(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple)
        y1 = self.b1(x)  # [N, NF, H/2, W/2]
        y2 = self.b2(y1)  # [N, 2NF, H/4, W/4]
        y3 = self.b3(y2)  # [N, 2NF, H/4, W/4]
        y4 = self.b4(self.join(y3, "b2", y2))  # [N, NF, H/2, W/2]
        y5 = self.b5(self.join(y4, "b1", y1))  # [N, NC, H, W]
        return self.join(y5, "picture", x)

    def join(self, y: Tensor, name: str, skipped: Tensor) -> Tensor:
        """y with the skipped channels behind it, if the network has that skip."""
        return torch.cat([y, skipped], dim=1) if name in self.skips else y

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.out(features)
        return logits
