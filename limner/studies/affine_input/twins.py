"""What of A4 needs no training: the exact network for a*x + b, its shortcuts, and what the first
norm and the last layer are handed before the first step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from limner.learn.loading.batches import inputs_and_classes
from limner.learn.run import build
from limner.networks.affine import PictureConv, absorb
from limner.networks.cnn import CNN
from limner.networks.unet import UNet
from limner.recipe import Recipe
from limner.studies.answers import truth_of
from limner.studies.record import palette_of
from limner.studies.study import Table

EXACT = 1e-10  # a largest difference of logits below it is rounding, in float64
REACH = 15  # pixels that a wrong border reaches at k = 3: six layers, four of them on small grids
SETTLING = 100  # pictures that the norms take their statistics from, as a batch does
COMPARED = 20  # pictures that the logits are compared on
LOOKED_AT = 500  # pictures that a variance is taken over


class Away(NamedTuple):
    """Largest difference of logits to the network that sees x; None where there is no such thing.

    exact: the construction; zero_padded: it with borders of 0, and in `middle` beyond their reach;
    unfixed: it with the UNet's last layer as it was; as_written: w' = (w - b) / a.
    """

    exact: float
    zero_padded: float
    middle: float
    unfixed: float | None
    as_written: float


PictureNetwork = CNN | UNet
Aways = dict[tuple[float, float], Away]  # by a and b


@dataclass(frozen=True)
class First:
    """What layers are handed at the first weights, where training begins.

    variance: of what the first norm sees (the first convolution's output, pooled), the median
    over its channels. eps: the norm's. picture: standard deviation of the picture's part of a
    UNet's logits, the mean over classes.
    """

    variance: float
    eps: float
    picture: float

    @property
    def normed(self) -> float:
        """The variance behind the norm: 1 unless eps counts."""
        return self.variance / (self.variance + self.eps)


def seen(a: float, b: float) -> str:
    """What a network sees, as a table names it: "255*x", "1*x-0.5"."""
    return f"{a:g}*x{b:+g}" if b else f"{a:g}*x"


def first_network(recipe: Recipe) -> PictureNetwork:
    """The recipe's network before its first step."""
    network = build(recipe, palette_of(recipe), pretrained=False)
    assert isinstance(network, PictureNetwork)
    return network


def light_of(recipe: Recipe, split: str, count: int) -> Tensor:
    """x of a split's first pictures: float32 [n, 1, 32, 32]."""
    palette = palette_of(recipe)
    rgb = truth_of(recipe.sets()[0][0], split, palette).rgb[:count]
    return torch.from_numpy(inputs_and_classes(rgb, palette, 1)[0])


@torch.no_grad()
def settled(recipe: Recipe) -> PictureNetwork:
    """The recipe's network at its first weights in float64, its norms' statistics those of a
    batch: in eval mode, as if trained."""
    network = first_network(recipe).double()
    settle(network, [light_of(recipe, "train", SETTLING).double()])
    return network


@torch.no_grad()
def settle(network: PictureNetwork, batches: Sequence[Tensor]) -> None:
    """Give the norms the statistics of these batches, and leave the network in eval mode."""
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # the plain mean over batches
    network.train()
    for batch in batches:
        network(batch)
    network.eval()


def as_written(network: PictureNetwork, a: float, b: float) -> PictureNetwork:
    """The write-up's w' = (w - b) / a, read kindly: in every convolution that sees the picture,
    with borders of b, and every bias as it was."""
    twin = absorb(network, a, b)
    for conv, old in ((twin.b1.conv, network.b1.conv), (twin.out, network.out)):
        if isinstance(conv, PictureConv):
            conv.load_state_dict(old.state_dict())
            seen = conv.weight.data[:, -conv.pictures :]
            seen.sub_(b).div_(a)
    return twin


def zero_padded(network: PictureNetwork, a: float, b: float) -> PictureNetwork:
    """The exact network, but with borders of 0."""
    twin = absorb(network, a, b)
    for part in twin.modules():
        if isinstance(part, PictureConv):
            part.border = 0.0
    return twin


@torch.no_grad()
def away(network: PictureNetwork, x: Tensor, a: float, b: float) -> Away:
    """How far the exact construction and its shortcuts are from saying of a*x + b what the network
    says of x, float64 [N, 1, H, W]."""
    said = network(x)

    def differences(twin: PictureNetwork) -> Tensor:
        difference: Tensor = (twin(a * x + b) - said).abs()
        return difference

    zero = differences(zero_padded(network, a, b))
    unfixed = None
    if isinstance(network, UNet):
        half = absorb(network, a, b)
        half.out = network.out
        unfixed = float(differences(half).max())
    return Away(
        exact=float(differences(absorb(network, a, b)).max()),
        zero_padded=float(zero.max()),
        middle=float(zero[..., REACH:-REACH, REACH:-REACH].max()),
        unfixed=unfixed,
        as_written=float(differences(as_written(network, a, b)).max()),
    )


def constructions(recipe: Recipe, pairs: Sequence[tuple[float, float]]) -> Aways:
    """`away` for each (a, b), on the recipe's network and validation pictures."""
    network = settled(recipe)
    x = light_of(recipe, "val", COMPARED).double()
    return {(a, b): away(network, x, a, b) for a, b in pairs}


@torch.no_grad()
def first(recipe: Recipe, x: Tensor) -> First:
    """What the layers of the recipe's UNet are handed of x before its first step."""
    network = first_network(recipe)
    seen = x * recipe.scale + recipe.shift
    pooled = network.b1.resize(network.b1.conv(seen))
    out = network.out
    part = conv2d(seen, out.weight[:, -seen.shape[1] :], padding=out.padding)
    return First(
        variance=float(pooled.var(dim=(0, 2, 3), correction=0).median()),
        eps=network.b1.norm.eps,
        picture=float(part.std(dim=(0, 2, 3), correction=0).mean()),
    )


def over_seeds(recipes: Sequence[Recipe]) -> First:
    """The mean of `first` over recipes that differ in their seed."""
    x = light_of(recipes[0], "train", LOOKED_AT)
    all_of = [first(recipe, x) for recipe in recipes]
    n = len(all_of)
    return First(
        variance=sum(one.variance for one in all_of) / n,
        eps=all_of[0].eps,
        picture=sum(one.picture for one in all_of) / n,
    )


def verdict(aways: Mapping[str, Aways]) -> list[str]:
    """Whether the exact network is exact, and what every shortcut to it costs."""
    both = [(b, row) for pairs in aways.values() for (_, b), row in pairs.items()]
    rows = [row for _, row in both]
    moved = [row for b, row in both if b]
    exact = max(row.exact for row in rows)
    holds = "is exact" if exact < EXACT else "is NOT exact"
    lines = [
        "A4: w' = w/a and bias' = bias - (b/a) * sum(w) in every convolution that sees the picture "
        f"(a UNet's last, too), padded with b, {holds}, border included: the logits of a*x + b and "
        f"of x differ by at most {exact:.1e} (float64)."
    ]
    least = min(row.as_written for row in moved)
    if least > EXACT:
        others = max(row.as_written for b, row in both if not b)
        lines.append(
            "A4: the write-up's w' = (w - b)/a is wrong where b is not 0: logits differ by "
            f"{least:.3g} or more (by {others:.1e} at most where b = 0, where both say w/a)."
        )
    zero, middle = min(row.zero_padded for row in moved), max(row.middle for row in rows)
    if zero > EXACT > middle:
        lines.append(
            f"A4: with borders of 0 instead of b, logits differ by {zero:.3g} or more, and only "
            f"near the border: by at most {middle:.1e} beyond {REACH} px from it."
        )
    unfixed = min(row.unfixed for row in rows if row.unfixed is not None)
    if unfixed > EXACT:
        lines.append(
            "A4: with the UNet's last layer left as it was, logits differ by "
            f"{unfixed:.3g} or more."
        )
    return lines


def construction_table(aways: Mapping[str, Aways]) -> Table:
    """Every construction's largest difference of logits."""
    rows = [
        (network, seen(a, b), *("-" if value is None else f"{value:.1e}" for value in row))
        for network, pairs in aways.items()
        for (a, b), row in pairs.items()
    ]
    header = (
        "network", "sees", "exact", "borders of 0", f"the same, beyond {REACH} px",
        "last layer as it was", "w' = (w - b)/a",
    )  # fmt: skip
    note = (
        f"{COMPARED} validation pictures, float64, first weights of seed 0 with the "
        "norms' statistics of a training batch. (w - b)/a is read kindly: in every convolution "
        "that sees the picture, and padded with b."
    )
    return Table("Largest difference of logits to the network that sees x", header, rows, note)


def first_table(firsts: Mapping[str, First]) -> Table:
    """What the first norm and the UNet's last layer are handed before training."""
    rows = [
        (pair, f"{one.variance:.3g}", f"{one.eps:.0e}", f"{one.normed:.4f}", f"{one.picture:.3g}")
        for pair, one in firsts.items()
    ]
    header = (
        "sees", "variance before the first norm", "its eps", "variance after it",
        "deviation of the picture's part of the UNet's logits",
    )  # fmt: skip
    note = (
        f"The first {LOOKED_AT} training pictures at the first weights, mean over the "
        "seeds; the variance is of the pooled output of the first convolution, the median over "
        "its channels. The CNN begins with the same first layer."
    )
    return Table("Before the first step", header, rows, note)
