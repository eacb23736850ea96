"""People in another size are what nearest neighbour makes of pictures of them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext import People
from densepose_ext.prediction.resizing import resized_people, resized_picture
from projects_tests.visualization.people import flat_person, random_person

coordinate = st.floats(-30, 50, width=32)
boxes = st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=4)


@settings(deadline=None, max_examples=30)
@given(boxes, st.integers(1, 60), st.integers(1, 60), st.integers(0, 10**6))
def test_as_nearest_neighbour_of_the_picture(corners, height, width, seed):
    rng = np.random.default_rng(seed)
    people = People([random_person(rng, box, float(rng.random())) for box in corners], (24, 20))
    resized = resized_people(people, (height, width))
    assert resized.size == (height, width)
    assert [person.score for person in resized] == [person.score for person in people]
    assert np.array_equal(resized.to_iuv(), people.to_iuv((height, width)))
    expected = cv2.resize(people.to_index(), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    assert np.array_equal(resized.to_index(), expected)
    assert len(resized.to_json()) == len(people)


def test_masks_and_keypoints_follow():
    mask = np.zeros((10, 10), bool)
    mask[2:4, 6:8] = True
    keypoints = np.array([[7.0, 3.0, 0.9]], np.float32)
    person = flat_person((6, 2, 8, 4), mask=mask, keypoints=keypoints)
    (resized,) = resized_people(People([person], (10, 10)), (20, 30))
    assert resized.mask.shape == (20, 30)
    assert resized.mask[4:8, 18:24].all()
    assert resized.mask.sum() == 4 * 6
    assert resized.keypoints.tolist() == [[21.0, 6.0, np.float32(0.9)]]
    assert resized.box.tolist() == [18, 4, 24, 8]
    assert person.keypoints[0, 0] == 7


def test_the_same_size_is_the_same():
    people = People([flat_person((1, 1, 5, 5))], (9, 9))
    assert resized_people(people, (9, 9)) is people


@pytest.mark.parametrize("size", [(5, 7), (30, 40)])
def test_pictures(size):
    picture = np.full((10, 12, 3), 77, np.uint8)
    assert (resized_picture(picture, size) == np.full((*size, 3), 77)).all()
