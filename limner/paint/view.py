"""What a network sees of a picture, and what it says of it."""

import math

import numpy as np
from numpy.typing import NDArray

from limner.card import Model

Floats = NDArray[np.float32]

MOST_SEEN = 1_000_000  # pixels that the network sees, padding included


def view_size(width: int, height: int, short_side: int, multiple: int) -> tuple[int, int]:
    """Width and height of what the network sees of a picture.

    The short side becomes `short_side`, aspect kept, never enlarged; reduced further until both
    sides, padded to `multiple`, have at most a megapixel.
    """
    scale = min(1.0, short_side / min(width, height))
    while True:
        seen = max(1, round(width * scale)), max(1, round(height * scale))
        area = math.prod(math.ceil(side / multiple) * multiple for side in seen)
        if area <= MOST_SEEN:
            return seen
        scale *= min(0.99, math.sqrt(MOST_SEEN / area))


def logits_of(model: Model, seen: Floats) -> Floats:
    """The model's logits for one picture of any size: float32 [C, H, W], in the kind and range of
    the card's input -> [K, ceil(H / stride), ceil(W / stride)].

    The sides are padded to the card's multiple by repeating the edge.
    """
    card = model.card
    height, width = seen.shape[-2:]
    below, beside = -height % card.multiple, -width % card.multiple
    padded = np.pad(seen, ((0, 0), (0, below), (0, beside)), mode="edge").astype(np.float32)
    rows, columns = math.ceil(height / card.stride), math.ceil(width / card.stride)
    covered: Floats = model.run(padded[None])[0, :, :rows, :columns]
    return covered
