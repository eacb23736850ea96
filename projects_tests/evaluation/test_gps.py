"""Geodesic point similarity: the formula, and the official rules about points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densepose_ext.evaluation.gps import (
    geodesic_errors,
    masked_similarity,
    mean_by_person,
    pixel_in_box,
    point_kappa,
    point_similarity,
)


def test_formula():
    assert point_similarity(np.array([0.0]), np.array([0.255]))[0] == 1
    similarity = point_similarity(np.array([0.255, 0.51]), np.array([0.255, 0.255]))
    np.testing.assert_allclose(similarity, np.exp([-0.5, -2]))


def test_an_infinite_distance_adds_nothing_and_stays_in_the_mean():
    similarity = point_similarity(np.array([[0, np.inf, np.inf, 0]]), np.full(4, 0.255))
    assert mean_by_person(similarity, np.zeros(4, int), 1) == [[0.5]]


def test_kappa_is_that_of_the_true_part_or_the_same_for_all():
    np.testing.assert_array_equal(
        point_kappa(np.array([1, 3, 5, 7, 11, 15, 19, 23])),
        [0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150],
    )
    np.testing.assert_array_equal(point_kappa(np.array([1, 3]), 0.255), [0.255, 0.255])
    for kappa in ("paper", 0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="kappa"):
            point_kappa(np.array([1]), kappa)


def test_pixels_are_truncated_toward_zero():
    """A point .9 pixels left of the box falls into its first column; at 1.0 it is outside."""
    px, _, inside = pixel_in_box(
        np.array([9.1, 9.0, 10.9]), np.full(3, 10.0), np.array([[10.0, 10, 20, 20]])
    )
    np.testing.assert_array_equal(px[0], [0, -1, 0])
    np.testing.assert_array_equal(inside[0], [True, False, True])


def test_a_box_ends_at_its_whole_size():
    _, _, inside = pixel_in_box(
        np.array([19.9, 20.0, 20.5]), np.zeros(3), np.array([[0.0, 0, 20.9, 20.9]])
    )
    np.testing.assert_array_equal(inside[0], [True, False, False])
    _, _, inside = pixel_in_box(np.zeros(1), np.zeros(1), np.array([[0.0, 0, 0.9, 5]]))
    assert not inside.any()


def test_background_is_infinitely_far(surface):
    true = surface.closest_vertex([2, 2, 2], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    iuv = np.array([[2, 0, 3], [128, 0, 128], [128, 0, 128]], np.uint8)
    np.testing.assert_allclose(geodesic_errors(surface, true, iuv), [0, np.inf, 0.5])


@given(counts=st.lists(st.integers(0, 6), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_mean_by_person(counts, seed):
    person = np.repeat(np.arange(len(counts)), counts)
    similarity = np.random.default_rng(seed).random((3, len(person)))
    means = mean_by_person(similarity, person, len(counts))
    for g, count in enumerate(counts):
        expected = similarity[:, person == g].mean(1) if count else 0
        np.testing.assert_allclose(means[:, g], expected)


def test_gpsm():
    assert masked_similarity(np.array(0.25), np.array(1.0)) == 0.5
    assert masked_similarity(np.array(0.9), np.array(0.0)) == 0
