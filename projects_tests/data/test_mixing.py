"""How the places in batches are divided among datasets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densepose_ext.data.mixing import Mixture
from densepose_ext.data.sampler import TrainingBatches


@given(
    weights=st.lists(st.floats(0.05, 3), min_size=1, max_size=4),
    batch_size=st.integers(1, 16),
    seed=st.integers(0, 3),
)
def test_every_batch_has_the_shares_but_for_rounding(weights, batch_size, seed):
    mixture = Mixture(weights, batch_size)
    for iteration in range(5):
        counts = np.bincount(mixture.sets(seed, iteration), minlength=len(weights))
        expected = batch_size * np.array(weights) / sum(weights)
        assert (np.abs(counts - expected) < 1 + 1e-9).all()


def test_shares_are_exact_on_average():
    mixture = Mixture([1.0, 0.1], 4)
    sets = np.concatenate([mixture.sets(0, iteration) for iteration in range(2000)])
    assert abs(sets.mean() - 1 / 11) < 0.005


def test_each_process_gets_its_part_of_each_set():
    mixture = Mixture([1.0, 1.0], 16)
    for iteration in range(20):
        halves = mixture.sets(1, iteration).reshape(2, 8).sum(1)
        assert set(halves) <= {3, 4, 5}


def test_sets_fill_a_batch_together():
    """Two sets, two processes: every place of a batch has one image."""
    mixture = Mixture([1.0, 0.5], 6)
    parts = []
    for number, count in enumerate((7, 30)):
        both = [TrainingBatches(np.ones(count), 6, 3, rank=r, world_size=2) for r in range(2)]
        for batches in both:
            batches.places = lambda seed, n, number=number: mixture.sets(seed, n) == number
        parts.append(both)
    for iteration in (0, 40):
        positions = [s.position for both in parts for b in both for s in b.batch(iteration)]
        assert sorted(positions) == list(range(6 * iteration, 6 * iteration + 6))


@pytest.mark.parametrize("weights", [[], [1.0, 0.0], [1.0, -1.0], [1.0, float("inf")]])
def test_weights_that_are_not_positive_are_refused(weights):
    with pytest.raises(ValueError, match="expected positive numbers"):
        Mixture(weights, 4)
