"""Which pixels become points."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from densepose_ext.bootstrapping.points import box_coordinates, sampled_pixels


@given(
    labels=arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 4)
    ),
    count=st.integers(1, 9),
    seed=st.integers(0, 5),
    by_order=st.booleans(),
)
def test_points_are_distinct_pixels_of_each_class(labels, count, seed, by_order):
    order = torch.rand(labels.shape) if by_order else None
    pixels = sampled_pixels(torch.from_numpy(labels), count, np.random.default_rng(seed), order)
    assert len(pixels.unique()) == len(pixels)
    found = np.bincount(labels.ravel()[pixels.numpy()], minlength=5)
    there = np.bincount(labels.ravel(), minlength=5)
    assert found[0] == 0
    np.testing.assert_array_equal(found[1:], np.minimum(there[1:], count))


def test_with_an_order_points_come_from_the_lower_half():
    labels = torch.ones(10, 10, dtype=torch.uint8)
    order = torch.randperm(100).view(10, 10)
    for seed in range(20):
        pixels = sampled_pixels(labels, 8, np.random.default_rng(seed), order)
        assert order.flatten()[pixels].max() < 50


def test_few_pixels_are_all_taken_whatever_the_order():
    labels = torch.tensor([[1, 1, 1, 2]], dtype=torch.uint8)
    order = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    pixels = sampled_pixels(labels, 3, np.random.default_rng(0), order)
    assert sorted(pixels.tolist()) == [0, 1, 2, 3]


def test_coordinates_are_centres_of_pixels():
    x, y = box_coordinates(torch.tensor([0, 3, 4]), (2, 4), 256)
    assert x.tolist() == [32, 224, 32]
    assert y.tolist() == [64, 64, 192]
