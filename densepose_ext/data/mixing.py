"""Mixes several datasets in every training batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .seeding import Purpose, generator

_GOLDEN = (math.sqrt(5) - 1) / 2


class Mixture:
    """Assigns the places of every batch to datasets, in given proportions.

    Of B places, a dataset with the share s gets B s, rounded up or down, and exactly that share
    over many batches. Its places are spread over the batch, so that processes that share a batch
    get nearly equal numbers. The assignment depends only on the seed and the batch's number.
    """

    def __init__(self, weights: Sequence[float], batch_size: int):
        """
        Args:
            weights: of the datasets, all positive.
            batch_size: of all processes together.
        """
        if not weights or any(not 0 < w < math.inf for w in weights):
            raise ValueError(f"weights of the sets are {list(weights)}, expected positive numbers")
        self.shares = np.array(weights, dtype=np.float64) / sum(weights)
        # Neighbours in a batch are far apart in this order, and so come from different datasets.
        step = max(1, round(batch_size * _GOLDEN))
        while math.gcd(step, batch_size) > 1:
            step -= 1
        self._order = np.arange(batch_size) * step % batch_size

    def sets(self, seed: int, iteration: int) -> np.ndarray:
        """(batch_size,) index of the dataset of each place in a batch."""
        # Steps of this size cover [0, 1) evenly, however many there are.
        offset = (generator(seed, Purpose.MIXTURE).random() + iteration * _GOLDEN) % 1
        places = (self._order + offset) / len(self._order)
        return np.searchsorted(self.shares.cumsum()[:-1], places, side="right")
