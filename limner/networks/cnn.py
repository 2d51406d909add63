"""The write-up's CNN: six convolutions that halve a picture twice and double it back twice."""

from torch import Tensor, nn

from limner.networks.network import Network, check_counts, check_kernel, check_sides


class Block(nn.Module):
    """Convolution, then pooling or upsampling, then batch norm, then ReLU.

    [N, channels_in, H, W] -> [N, channels_out, H', W'], where `resize` makes H' of H.
    """

    def __init__(self, channels_in: int, channels_out: int, k: int, resize: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, k, padding=(k - 1) // 2)
        self.resize = resize
        self.norm = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.norm(self.resize(self.conv(x))))
        return y


def halve() -> nn.Module:
    """2 x 2 max pooling."""
    return nn.MaxPool2d(2)


def double() -> nn.Module:
    """Nearest-neighbor upsampling by 2."""
    return nn.Upsample(scale_factor=2, mode="nearest")


class CNN(Network):
    """The colorization CNN of part A of the write-up that limner grew from, layer by layer.

    k: kernel size (odd); NF: width; NC: classes; NIn: input channels.
    features: [N, NC, H, W]; logits: [N, NC, H, W]. 86,784 parameters at the defaults.
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
        self.b4 = Block(2 * NF, NF, k, double())
        self.b5 = Block(NF, NC, k, double())
        self.out = nn.Conv2d(NC, NC, k, padding=(k - 1) // 2)

    def features(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple)
        y: Tensor = self.b5(self.b4(self.b3(self.b2(self.b1(x)))))
        return y

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.out(features)
        return logits
