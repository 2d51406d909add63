"""What every network is: per-pixel logits from a picture, in two steps that can be called apart.

    features(x)   [N, NIn, H, W] -> [N, F, H/t, W/t]
    classify(f)   [N, F, H/t, W/t] -> logits [N, NC, H/s, W/s]
    forward(x)    classify(features(x))

Arguments are keywords only and are kept in `arguments`, from which a model file rebuilds it.
"""

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from limner.errors import LimnerError, RecipeError


class Network(nn.Module):
    """Base of all; a subclass sets the class attributes and writes features and classify."""

    multiple: int  # what both sides of the input must be divisible by
    stride: int  # input pixels per output pixel
    last_layer: ClassVar[str]  # name of the layer that makes the logits: a prefix of its weights
    encoder_part: ClassVar[str | None] = None  # name of the module that comes pretrained

    def __init__(self, arguments: dict[str, int | str]) -> None:
        super().__init__()
        self.arguments = arguments

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, for x [N, NIn, H, W]."""
        raise NotImplementedError

    def classify(self, features: Tensor) -> Tensor:
        """The logits [N, NC, H/s, W/s] of what `features` returned."""
        raise NotImplementedError

    def count(self, light: Tensor, classes: Tensor) -> None:
        """Take what is counted, not learned, from the training pictures: light [n, 1, H, W],
        classes [n, h, w]. Most networks count nothing."""

    def load_pretrained(self) -> None:
        """Take the trained weights that the network builds on. Most build on none.

        Raises ModelError if they can neither be found nor fetched."""

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but leave wholly frozen parts in eval.

        A frozen batch norm in training mode would still move its running statistics. Dropout has no
        parameters of its own: it is frozen where any part beside it is, so that what is said before
        the first part that learns is the same every time. The rule looks only at `requires_grad`,
        so no order of freezing and of calling train() can break it.
        """
        super().train(mode)
        if mode:
            for part in self.modules():
                learning = [p.requires_grad for p in part.parameters()]
                if part is not self and learning and not any(learning):
                    part.eval()
                elif not all(learning):
                    for child in part.children():
                        if not any(True for _ in child.parameters()):
                            child.eval()
        return self


def check_sides(x: Tensor, multiple: int) -> None:
    """Raise LimnerError unless `multiple` divides both sides of x [N, C, H, W]."""
    if torch.compiler.is_exporting():  # sides are symbols then; the exported file's reader pads
        return
    H, W = x.shape[-2:]
    if H % multiple or W % multiple or not H or not W:
        padded = [max(1, -(-side // multiple)) * multiple for side in (H, W)]
        raise LimnerError(
            f"a picture of {H} x {W} (height x width) does not suit this network, whose sides are "
            f"multiples of {multiple}; pad it to {padded[0]} x {padded[1]} by repeating its edge"
        )


def check_counts(**counts: int) -> None:
    """Raise RecipeError unless every named argument is a whole number of at least 1."""
    for name, value in counts.items():
        # a symbol of torch's stands for a whole number where costs become formulas (accounting)
        if not isinstance(value, int | torch.SymInt) or isinstance(value, bool) or value < 1:
            raise RecipeError(f"network argument {name} = {value!r}; give a whole number above 0")


def check_kernel(k: int) -> None:
    """Raise RecipeError unless k is an odd kernel size, which alone keeps a layer's sides."""
    check_counts(k=k)
    if k % 2 == 0:
        raise RecipeError(f"network argument k = {k} is even; give an odd kernel size, {k + 1} say")
