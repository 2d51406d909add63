"""Scores against second hands (scikit-image, scikit-learn, numbers by hand) and their laws."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import log_loss

from limner import scores


def test_ab_error_is_the_distance() -> None:
    error = scores.ab_error(np.array([[3.0, 4.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(error, [5, 0])


def test_auc_by_hand_and_at_its_ends() -> None:
    assert scores.auc(np.array([0.0, 30.0, 300.0, 60.0])) == pytest.approx(1 - 240 / 4 / 150)
    assert scores.auc(np.zeros((4, 5))) == 1
    assert scores.auc(np.full((4, 5), 1e6)) == 0


def test_auc_is_the_area_under_the_curve() -> None:
    errors = np.random.default_rng(0).gamma(2, 15, 4000)
    thresholds = np.linspace(0, 150, 3001)
    within = (errors[:, None] <= thresholds).mean(axis=0)
    area = np.trapezoid(within, thresholds) / 150
    assert scores.auc(errors) == pytest.approx(area, abs=1e-4)


def test_psnr_equals_scikit_image() -> None:
    random = np.random.default_rng(0)
    one = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    two = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    expected = peak_signal_noise_ratio(one, two, data_range=255)
    assert scores.psnr(one, two) == pytest.approx(expected)
    assert scores.psnr(two, one) == pytest.approx(expected)


def test_psnr_is_capped_and_finite() -> None:
    picture = np.full((100, 100, 3), 7, np.uint8)
    assert scores.psnr(picture, picture) == pytest.approx(60)
    near = picture.copy()
    near[0, 0, 0] += 1
    assert scores.psnr(near, picture) == pytest.approx(60)
    assert scores.psnr(picture + np.uint8(1), picture) == pytest.approx(48.13, abs=0.01)


def test_light_error_is_the_mean_distance() -> None:
    assert scores.light_error(np.array([10.0, 20.0]), np.array([11.0, 18.0])) == 1.5


def test_cross_entropy_and_accuracy_equal_scikit_learn() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (5, 6, 7))
    classes = random.integers(0, 5, (6, 7))
    distribution = np.exp(logits) / np.exp(logits).sum(axis=0)
    expected = log_loss(classes.ravel(), distribution.reshape(5, -1).T, labels=range(5))
    assert scores.cross_entropy(logits, classes) == pytest.approx(expected)
    share = (distribution.argmax(axis=0) == classes).mean()
    assert scores.accuracy(logits, classes) == share


def test_large_logits_stay_finite() -> None:
    logits = np.array([[1e4], [0.0]], np.float32)
    assert scores.cross_entropy(logits, np.array([0])) == 0
    assert scores.cross_entropy(logits, np.array([1])) == pytest.approx(1e4)


def test_interval_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    interval = scores.bootstrap_interval(values)
    assert interval.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_repeats_with_its_seed() -> None:
    values = np.arange(10.0)
    assert scores.bootstrap_interval(values, 3) == scores.bootstrap_interval(values, 3)
    assert scores.bootstrap_interval(values, 3) != scores.bootstrap_interval(values, 4)


def test_interval_of_one_picture_has_no_width() -> None:
    assert scores.bootstrap_interval(np.array([4.0])) == (4, 4, 4)


def test_near_edges_finds_a_step_and_nothing_else() -> None:
    ab = np.zeros((9, 12, 2), np.float32)
    ab[:, 6:, 0] = 20  # Sobel / 8 of a step of 20: 10 ab units a pixel, on both sides of it
    near = scores.near_edges(ab, 0)
    np.testing.assert_array_equal(near.all(axis=0), np.isin(np.arange(12), [5, 6]))
    np.testing.assert_array_equal(near.any(axis=0), near.all(axis=0))
    wider = scores.near_edges(ab, 1)
    np.testing.assert_array_equal(wider.all(axis=0), np.isin(np.arange(12), [4, 5, 6, 7]))
    assert not scores.near_edges(ab * 0.29, 4).any()  # 2.9 is below the rule's 3


def test_near_edges_of_many_pictures_are_those_of_each() -> None:
    ab = np.random.default_rng(0).normal(0, 4, (3, 8, 7, 2)).astype(np.float32)
    each = np.stack([scores.near_edges(picture, 1) for picture in ab])
    np.testing.assert_array_equal(scores.near_edges(ab, 1), each)
    assert 0 < each.mean() < 1
