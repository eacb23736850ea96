"""Random numbers that depend only on their purpose."""

import random

import numpy as np
import pytest
import torch

from densepose_ext.data.seeding import Purpose, generator, seed_global_generators, seeded


def draw() -> list[float]:
    return [np.random.rand(), random.random(), torch.rand(()).item()]


def test_inside_the_draws_are_the_same_and_outside_nothing_has_changed():
    seed_global_generators(1, Purpose.STEP, 0)
    undisturbed = draw() + draw()

    seed_global_generators(1, Purpose.STEP, 0)
    before = draw()
    found = []
    for _ in range(2):
        with seeded(5, Purpose.AUGMENTATION, 7):
            found.append(draw())
    assert before + draw() == undisturbed
    assert found[0] == found[1]


def test_an_error_inside_changes_nothing_outside():
    seed_global_generators(1, Purpose.STEP, 0)
    expected = draw()
    seed_global_generators(1, Purpose.STEP, 0)
    with pytest.raises(KeyError), seeded(0, Purpose.AUGMENTATION):
        {}[draw()[0]]
    assert draw() == expected


def test_every_seed_purpose_and_number_draws_on_its_own():
    cases = [(s, p, *n) for s in (0, 1) for p in Purpose for n in ((), (0,), (1,), (0, 1))]
    global_draws, own_draws = set(), set()
    for case in cases:
        with seeded(*case):
            global_draws |= set(draw())
        own_draws.add(generator(*case).random())
    assert len(global_draws) == 3 * len(cases)
    assert len(own_draws) == len(cases)


def test_large_seeds_are_reproducible():
    for seed in (0, 2**31, 2**63):
        with seeded(seed, Purpose.STEP, 10**9):
            first = draw()
        with seeded(seed, Purpose.STEP, 10**9):
            assert draw() == first
