"""Which of several sets fills which place of a training batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .seeding import Purpose, generator

_GOLDEN = (math.sqrt(5) - 1) / 2


class Mixture:
    """Shares the places of every batch among sets, in given proportions.

    Of B places a set with the share s gets B s, rounded up or down; over many batches exactly that
    share. Its places are spread over the batch, so that several processes that share one get
    nearly as many of each set. What a batch is made of is a function of the seed and its number.
    """

    def __init__(self, weights: Sequence[float], batch_size: int):
        """
        Args:
            weights: of each set, all positive.
            batch_size: of all processes together.
        """
        if not weights or any(not 0 < w < math.inf for w in weights):
            raise ValueError(f"weights of the sets are {list(weights)}, expected positive numbers")
        self.shares = np.array(weights, dtype=np.float64) / sum(weights)
        # Neighbours in a batch lie far apart in this order, and so get different sets.
        step = max(1, round(batch_size * _GOLDEN))
        while math.gcd(step, batch_size) > 1:
            step -= 1
        self._order = np.arange(batch_size) * step % batch_size

    def sets(self, seed: int, iteration: int) -> np.ndarray:
        """(batch_size,) the number of the set that fills each place of a batch."""
        # Steps of this size fill 0 to 1 evenly, however many there are.
        offset = (generator(seed, Purpose.MIXTURE).random() + iteration * _GOLDEN) % 1
        places = (self._order + offset) / len(self._order)
        return np.searchsorted(self.shares.cumsum()[:-1], places, side="right")
