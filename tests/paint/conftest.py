"""A model of a few lines of numpy: the painting half needs no network and no weights."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from limner.card import Card
from limner.paint.painter import Painter
from limner.palette import Palette

PALETTE = Palette("ab", np.array([[0, 0], [40, 10], [-30, 20], [5, -40], [60, 50]], np.float32))


class FakeModel:
    """Darker cells are likelier to be of an earlier class. Keeps the inputs it has seen."""

    sha256 = "0" * 64

    def __init__(self, **changes: Any) -> None:
        card = Card(
            name="fake",
            task="colorize",
            network={"name": "fake", "arguments": {}},
            input="light",
            working_size=64,
            stride=4,
            multiple=16,
            palette=PALETTE,
        )
        self.card = replace(card, **changes)
        self.seen: list[np.ndarray] = []

    def run(self, x: np.ndarray) -> np.ndarray:
        self.seen.append(x)
        stride, K = self.card.stride, len(self.card.palette)
        N, _, H, W = x.shape
        means = x.reshape(N, 1, H // stride, stride, W // stride, stride).mean(axis=(3, 5))
        centers = np.linspace(0, 1, K, dtype=np.float32)[None, :, None, None]
        logits: np.ndarray = np.float32(-40) * (means - centers) ** 2
        return logits


@pytest.fixture
def painter() -> Callable[..., Any]:
    """`painter({"stride": 8}, saturation=2)`: a Painter of a FakeModel with that on its card."""

    def make(card: dict[str, Any] | None = None, **settings: Any) -> Painter:
        model: Any = FakeModel(**(card or {}))
        return Painter(model, **settings)

    return make


@pytest.fixture
def photo() -> np.ndarray:
    """A grey photograph with slopes, edges and noise: uint8 [150, 210]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:150, :210]
    light = 60 + y / 2 + x / 4 + 60 * ((x // 50 + y // 40) % 2) + rng.normal(0, 4, y.shape)
    return np.asarray(light.clip(0, 255), np.uint8)
