"""The look-up: P(class | grey level), counted from training pictures; no network.

The plainest answer to "which color belongs to this light?", beside which every network is held.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

GREYS = 256
SMOOTHING = 0.1  # added to every count


@dataclass(frozen=True)
class Lookup:
    """logs [256, K]: log P(class | grey level); prior [K]: log P(class)."""

    logs: Floats
    prior: Floats

    @classmethod
    def count(
        cls, pictures: Iterable[tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]], K: int
    ) -> "Lookup":
        """Count (grey levels 0..255, classes 0..K-1), two arrays of one shape for each picture.

        Every count begins at 0.1, so that nothing is impossible.
        """
        counts = np.full((GREYS, K), SMOOTHING)
        for grey, classes in pictures:
            pairs = (grey.astype(np.int64) * K + classes).ravel()
            counts += np.bincount(pairs, minlength=GREYS * K).reshape(GREYS, K)
        return cls(_log_shares(counts), _log_shares(counts.sum(axis=0)))

    def logits(self, grey: NDArray[np.integer[Any]]) -> Floats:
        """What it says of grey levels [...]: log-probabilities [K, ...]."""
        return np.moveaxis(self.logs[grey], -1, 0)

    def majority(self, shape: tuple[int, ...]) -> Floats:
        """The classes' shares whatever the grey level: log-probabilities [K, *shape]."""
        return np.broadcast_to(self.prior.reshape(-1, *[1] * len(shape)), (len(self.prior), *shape))


def _log_shares(counts: NDArray[np.float64]) -> Floats:
    shares: NDArray[np.float64] = counts / counts.sum(axis=-1, keepdims=True)
    return np.log(shares).astype(np.float32)
