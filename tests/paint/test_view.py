"""What a network sees of a picture of any size, and which of its cells are the picture's."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.paint.view import MOST_SEEN, logits_of, view_size


@given(
    width=st.integers(1, 100_000),
    height=st.integers(1, 100_000),
    size=st.integers(32, 2000),
    multiple=st.sampled_from([1, 4, 32]),
)
def test_the_view(width: int, height: int, size: int, multiple: int) -> None:
    w, h = view_size(width, height, size, multiple)
    assert 1 <= w <= width and 1 <= h <= height  # never enlarged
    assert min(w, h) <= size
    padded = math.prod(math.ceil(side / multiple) * multiple for side in (w, h))
    assert padded <= MOST_SEEN
    # The aspect is kept to a pixel: w / width = h / height.
    assert abs(w * height - h * width) <= max(width, height) or min(w, h) == 1


def test_an_ordinary_view() -> None:
    assert view_size(6000, 4000, 256, 32) == (384, 256)
    assert view_size(200, 100, 256, 32) == (200, 100)
    assert view_size(5000, 1, 256, 32) == (5000, 1)
    w, h = view_size(6000, 4000, 4000, 32)
    assert 0.9e6 < w * h <= 1e6


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sides", [(16, 16), (17, 33), (1, 1), (1, 50)])
def test_logits_cover_the_picture_and_no_more(
    painter: Callable[..., Any], channels: int, sides: tuple[int, int]
) -> None:
    model = painter().model

    def numbered(x: np.ndarray) -> np.ndarray:
        _, columns = np.indices((x.shape[2] // 4, x.shape[3] // 4))
        return np.stack([columns] * channels)[None]

    model.run = numbered
    logits = logits_of(model, np.zeros((channels, *sides), np.float32))
    rows, columns = (math.ceil(side / 4) for side in sides)
    assert logits.shape == (channels, rows, columns)
    assert (logits == np.arange(columns)).all()  # the first of them, not those of the padding


def test_the_padding_repeats_the_edge_of_every_channel(painter: Callable[..., Any]) -> None:
    model = painter().model
    heard: list[np.ndarray] = []

    def listen(x: np.ndarray) -> np.ndarray:
        heard.append(x)
        return np.zeros((1, 5, 8, 8))

    model.run = listen
    seen = np.random.default_rng(0).random((3, 17, 30), np.float32)
    logits_of(model, seen)
    (x,) = heard
    assert x.shape == (1, 3, 32, 32)
    assert x.dtype == np.float32
    below, beside = np.arange(32).clip(0, 16), np.arange(32).clip(0, 29)
    assert np.array_equal(x[0], seen[:, below][:, :, beside])
