"""The look-up counts what it is told to count, and says what it counted."""

import numpy as np
import pytest

from limner.lookup import Lookup


def test_lookup_counts_and_smooths() -> None:
    grey = np.array([[100, 20], [20, 20]])
    classes = np.array([[1, 0], [0, 0]])
    shares = np.exp(Lookup.count([(grey, classes)], 4).logs)
    np.testing.assert_allclose(shares[20], np.array([3.1, 0.1, 0.1, 0.1]) / 3.4, rtol=1e-5)
    np.testing.assert_allclose(shares[100], np.array([0.1, 1.1, 0.1, 0.1]) / 1.4, rtol=1e-5)
    np.testing.assert_allclose(shares[7], 1 / 4, rtol=1e-5)


def test_pictures_add_up() -> None:
    random = np.random.default_rng(0)
    grey, classes = random.integers(0, 256, (6, 5, 4)), random.integers(0, 3, (6, 5, 4))
    together = Lookup.count([(grey, classes)], 3)
    apart = Lookup.count(zip(grey, classes, strict=True), 3)
    np.testing.assert_array_equal(together.logs, apart.logs)
    np.testing.assert_array_equal(together.prior, apart.prior)


def test_its_logits_are_those_of_each_pixels_grey() -> None:
    random = np.random.default_rng(1)
    grey, classes = random.integers(0, 256, (5, 4)), random.integers(0, 3, (5, 4))
    lookup = Lookup.count([(grey, classes)], 3)
    logits = lookup.logits(grey)
    assert logits.shape == (3, 5, 4)
    np.testing.assert_array_equal(logits[:, 2, 1], lookup.logs[grey[2, 1]])
    np.testing.assert_allclose(np.exp(logits).sum(axis=0), 1, rtol=1e-5)


def test_the_majority_is_the_same_everywhere() -> None:
    lookup = Lookup.count([(np.arange(6), np.array([0, 1, 1, 1, 2, 2]))], 3)
    said = lookup.majority((5, 4))
    assert said.shape == (3, 5, 4)
    assert (said.argmax(axis=0) == 1).all()
    assert np.exp(said[:, 0, 0]).sum() == pytest.approx(1)
