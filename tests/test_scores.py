"""Scores against second hands (scikit-image, scikit-learn, numbers by hand) and their laws."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score, log_loss

from limner import scores

Mask = NDArray[np.uint8]


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


def masks(K: int, seed: int, shape: tuple[int, ...] = (30, 40)) -> tuple[Mask, Mask]:
    """A true mask with ignored pixels, and one that agrees with about half of it."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, K, shape)
    said = np.where(random.random(shape) < 0.5, truth, random.integers(0, K, shape))
    truth[random.random(shape) < 0.1] = 255
    return truth.astype(np.uint8), said.astype(np.uint8)


@pytest.mark.parametrize("K", [2, 21, 255])
def test_confusion_and_its_scores_equal_scikit_learn(K: int) -> None:
    truth, said = masks(K, seed=K)
    known = truth != 255
    table = scores.confusion(truth, said, K)
    assert table.shape == (K, K)
    assert table.dtype == np.int64
    expected = confusion_matrix(truth[known], said[known], labels=range(K))
    np.testing.assert_array_equal(table, expected)
    assert scores.pixel_accuracy(table) == pytest.approx(accuracy_score(truth[known], said[known]))
    there = np.unique(truth[known])
    theirs = jaccard_score(truth[known], said[known], labels=there, average=None)
    np.testing.assert_allclose(scores.iou(table)[there], theirs)


def test_rows_are_the_truth() -> None:
    truth = np.array([[0, 0, 1, 255, 3]], np.uint8)  # 3: no class of two either
    said = np.array([[0, 1, 1, 1, 0]], np.uint8)
    assert scores.confusion(truth, said, 2).tolist() == [[1, 1], [0, 1]]


def test_a_class_without_a_true_pixel_has_no_iou() -> None:
    truth, said = np.array([0, 0, 2, 2], np.uint8), np.array([0, 1, 2, 0], np.uint8)
    ious = scores.iou(scores.confusion(truth, said, 4))
    np.testing.assert_array_equal(ious, [1 / 3, np.nan, 1 / 2, np.nan])  # 1 is said, 3 is not
    missed = scores.confusion(np.array([1], np.uint8), np.array([0], np.uint8), 2)
    np.testing.assert_array_equal(scores.iou(missed), [np.nan, 0])


def test_where_all_is_ignored_nothing_is_scored() -> None:
    truth = np.full((3, 4), 255, np.uint8)
    table = scores.confusion(truth, np.zeros_like(truth), 3)
    assert not table.any()
    assert np.isnan(scores.pixel_accuracy(table))
    assert np.isnan(scores.iou(table)).all()


def test_the_table_of_many_pictures_is_the_sum_of_theirs() -> None:
    truth, said = masks(5, seed=0, shape=(7, 8, 9))
    tables = np.stack([scores.confusion(t, s, 5) for t, s in zip(truth, said, strict=True)])
    np.testing.assert_array_equal(tables.sum(axis=0), scores.confusion(truth, said, 5))
    for score in (scores.iou, scores.pixel_accuracy):
        each = np.stack([score(table) for table in tables])
        np.testing.assert_array_equal(score(tables), each)


def test_resamples_are_sums_over_as_many_whole_pictures() -> None:
    places = np.eye(9, dtype=np.int64).reshape(9, 3, 3)  # picture i has one pixel, in cell i
    drawn = scores.resampled(places, resamples=500)
    assert drawn.shape == (500, 3, 3)
    assert drawn.dtype == np.int64
    assert (drawn.sum(axis=(1, 2)) == 9).all()
    assert drawn.min() == 0
    assert drawn.max() > 2  # with replacement
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.2)  # each as likely


def test_resamples_repeat_with_their_seed() -> None:
    tables = np.random.default_rng(0).integers(0, 99, (12, 4, 4))
    first = scores.resampled(tables, 3, 20)
    np.testing.assert_array_equal(first, scores.resampled(tables, 3, 20))
    assert (first != scores.resampled(tables, 4, 20)).any()
    alone = scores.resampled(tables[:1], resamples=5)
    np.testing.assert_array_equal(alone, np.repeat(tables[:1], 5, axis=0))


def test_resamples_spread_as_the_bootstrap_of_a_mean() -> None:
    """The accuracy of pictures of one size is the mean of theirs, whose interval is known."""
    random = np.random.default_rng(1)
    right = random.integers(0, 101, 200)
    tables = np.zeros((200, 2, 2), np.int64)
    tables[:, 0, 0], tables[:, 0, 1] = right, 100 - right
    low, high = np.percentile(scores.pixel_accuracy(scores.resampled(tables)), (2.5, 97.5))
    expected = scores.bootstrap_interval(right / 100)
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.1 * width)
    assert high == pytest.approx(expected.high, abs=0.1 * width)


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
