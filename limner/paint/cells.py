"""Cells: the squares of stride x stride pixels that a model says one thing about."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def cell_means(values: NDArray[Any], stride: int) -> Floats:
    """The mean of each cell: [H, W, ...] -> float32 [ceil(H / stride), ceil(W / stride), ...].

    A cell that reaches beyond the picture repeats its edge, as the network's input does.
    """
    height, width, *rest = values.shape
    below, beside = -height % stride, -width % stride
    padded = np.pad(
        values.astype(np.float32), ((0, below), (0, beside), *[(0, 0)] * len(rest)), mode="edge"
    )
    rows, columns = (height + below) // stride, (width + beside) // stride
    means: Floats = padded.reshape(rows, stride, columns, stride, *rest).mean(axis=(1, 3))
    return means
