"""A distribution becomes its mean color: class weights undone, temperature applied."""

import numpy as np
import pytest

from limner.color import rgb_to_lab
from limner.paint.decode import certainty, class_ab, decode, undo_weights
from limner.palette import Palette

RNG = np.random.default_rng(0)
AB = Palette("ab", RNG.uniform(-80, 80, (7, 2)).astype(np.float32))
RGB = Palette("rgb", RNG.uniform(0, 255, (7, 3)).astype(np.float32))
LOGITS = RNG.normal(0, 2, (7, 5, 6)).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """In float64, over the first axis."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_expected_color(temperature: float) -> None:
    p = softmax(LOGITS / temperature)
    expected = np.einsum("khw,kd->hwd", p, AB.colors)
    ab = decode(LOGITS, AB, temperature=temperature)
    assert ab.dtype == np.float32
    assert np.allclose(ab, expected, atol=1e-4)


def test_rgb_is_averaged_as_rgb() -> None:
    mean = np.einsum("khw,kd->hwd", softmax(LOGITS), RGB.colors)
    assert np.allclose(decode(LOGITS, RGB), rgb_to_lab(mean / 255)[..., 1:], atol=1e-3)


def test_a_certain_class_gives_its_own_color() -> None:
    for k in range(len(AB)):
        logits = np.full((7, 1, 1), -200, np.float32)
        logits[k] = 0
        assert np.allclose(decode(logits, AB), AB.colors[k], atol=1e-5)


def test_class_weights_are_undone() -> None:
    weights = RNG.uniform(0.1, 5, 7).tolist()
    p = softmax(LOGITS)
    # What weighted cross-entropy teaches where the truth is distributed as p.
    weighted = np.log(
        p * np.reshape(weights, (7, 1, 1)) / (p * np.reshape(weights, (7, 1, 1))).sum(axis=0)
    )
    weighted = weighted.astype(np.float32)
    assert np.allclose(decode(weighted, AB, weights), decode(LOGITS, AB), atol=1e-3)
    assert not np.allclose(decode(weighted, AB), decode(LOGITS, AB), atol=1)
    assert np.allclose(certainty(weighted, weights), certainty(LOGITS), atol=1e-5)


def test_the_weights_are_undone_before_the_temperature() -> None:
    weights = RNG.uniform(0.1, 5, 7).tolist()
    undone = LOGITS - np.log(weights).astype(np.float32).reshape(7, 1, 1)
    assert np.allclose(decode(LOGITS, AB, weights, 0.5), decode(undone, AB, None, 0.5), atol=1e-4)


def test_undoing_the_weights() -> None:
    weights = RNG.uniform(0.1, 5, 7).tolist()
    undone = undo_weights(LOGITS, weights)
    assert undone.dtype == np.float32
    assert np.allclose(undone, LOGITS - np.log(weights).reshape(7, 1, 1), atol=1e-6)
    assert undo_weights(LOGITS, None) is LOGITS


def test_the_ab_of_every_class() -> None:
    assert np.array_equal(class_ab(AB), AB.colors)
    assert np.allclose(class_ab(RGB), rgb_to_lab(RGB.colors / 255)[:, 1:], atol=1e-4)


def test_logits_may_be_large_and_shifted() -> None:
    shifted = LOGITS + np.float32(5000)
    assert np.allclose(decode(shifted, AB), decode(LOGITS, AB), atol=0.1)
    assert np.isfinite(decode(LOGITS * 1e4, AB, temperature=0.01)).all()


def test_decoding_leaves_the_logits_alone() -> None:
    before = LOGITS.copy()
    decode(LOGITS, AB, [1.0] * 7, 0.5)
    certainty(LOGITS, [1.0] * 7)
    assert np.array_equal(LOGITS, before)


def test_certainty_is_one_minus_relative_entropy() -> None:
    p = softmax(LOGITS)
    expected = 1 + (p * np.log(p)).sum(axis=0) / np.log(7)
    assert np.allclose(certainty(LOGITS), expected, atol=1e-5)


def test_certainty_from_nothing_to_all() -> None:
    assert np.allclose(certainty(np.zeros((7, 2, 2), np.float32)), 0, atol=1e-6)
    sure = np.full((7, 1, 1), -1e4, np.float32)
    sure[3] = 1e4
    assert certainty(sure) == 1
    half = np.full((4, 1, 1), -1e4, np.float32)
    half[:2] = 0  # two of four classes, equally likely: log 2 / log 4
    assert np.allclose(certainty(half), 0.5)
    assert certainty(np.zeros((1, 1, 1), np.float32)) == 1
