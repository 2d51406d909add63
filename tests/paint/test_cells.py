"""Cells are means of squares; the last ones repeat the picture's edge."""

import numpy as np

from limner.paint.cells import cell_means


def test_means_of_squares() -> None:
    values = np.random.default_rng(0).uniform(0, 100, (8, 12)).astype(np.float32)
    means = cell_means(values, 4)
    assert means.shape == (2, 3)
    assert means.dtype == np.float32
    assert np.isclose(means[1, 2], values[4:8, 8:12].mean())


def test_the_last_cells_repeat_the_edge() -> None:
    values = np.arange(5 * 6 * 2).reshape(5, 6, 2)
    means = cell_means(values, 4)
    assert means.shape == (2, 2, 2)
    row = values[4]
    expected = np.stack([row[4], row[5], row[5], row[5]]).mean(axis=0)
    assert np.allclose(means[1, 1], expected)


def test_a_stride_of_1_changes_nothing() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(cell_means(values, 1), values)
