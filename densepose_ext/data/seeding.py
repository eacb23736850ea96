"""Random numbers of a training run, reproducible after it is resumed.

Every draw is seeded with the run's seed, a purpose and numbers such as the iteration, so an
iteration is the same whether or not the run was killed and resumed before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What random numbers are drawn for; different purposes are independent."""

    ORDER = 0  # of the images of an epoch
    REPEATS = 1  # of images that are drawn a fractional number of times
    BATCHES = 2  # the order of the batches of a stretch
    AUGMENTATION = 3  # of one sample
    REPLACEMENT = 4  # of an image that cannot be read
    STEP = 5  # what the model draws in an iteration
    SIZE = 6  # of the pictures of a batch
    MIXTURE = 7  # which set fills which place of a batch
    PSEUDO_LABELS = 8  # the points that one sample is labelled with
    KEY_FRAME = 9  # of a video


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """A generator determined by seed, purpose and non-negative numbers."""
    return np.random.default_rng(_sequence(seed, purpose, numbers))


def seed_global_generators(seed: int, purpose: Purpose, *numbers: int) -> None:
    """Seeds numpy, ``random`` and torch, on all devices."""
    words, number = _seeds(seed, purpose, numbers)
    np.random.seed(words)
    random.seed(number)
    torch.manual_seed(number)


@contextmanager
def seeded(seed: int, purpose: Purpose, *numbers: int) -> Iterator[None]:
    """Context in which the CPU's global generators are seeded; they are restored afterwards.

    Detectron2's augmentations can draw only from numpy's global generator.
    """
    before = (
        np.random.get_state(legacy=False),  # twice as fast
        random.getstate(),
        torch.default_generator.get_state(),
    )
    words, number = _seeds(seed, purpose, numbers)
    np.random.seed(words)
    random.seed(number)
    torch.default_generator.manual_seed(number)
    try:
        yield
    finally:
        np.random.set_state(before[0])
        random.setstate(before[1])
        torch.default_generator.set_state(before[2])


def _seeds(seed: int, purpose: Purpose, numbers: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Seeds for numpy's legacy generator (several words) and for others (one number)."""
    words = _sequence(seed, purpose, numbers).generate_state(6)
    return words[:4], int(words[4]) << 31 | int(words[5]) >> 1


def _sequence(seed: int, purpose: Purpose, numbers: tuple[int, ...]) -> np.random.SeedSequence:
    # With their count, because SeedSequence pads with zeros.
    return np.random.SeedSequence([seed, purpose, len(numbers), *numbers])
