"""Boxes, labels on them, and keypoints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.visualization import draw_boxes, draw_keypoints, person_colour
from projects_tests.visualization.people import flat_person, noise

coordinate = st.floats(-1e5, 1e5, width=32) | st.floats(-20, 90, width=32)


def person(box, score=0.5, **more):
    """A box with a result of one pixel, since only the box counts here."""
    made = flat_person((0, 0, 1, 1), score=score, **more)
    made.box = np.array(box, np.float32)
    return made


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=4))
def test_any_box(corners):
    picture = noise(np.random.default_rng(0), 60, 80)
    before = picture.copy()
    drawn = draw_boxes(picture, [person(box) for box in corners])
    assert drawn.shape == picture.shape
    np.testing.assert_array_equal(picture, before)


def test_where_a_box_is():
    picture = np.zeros((300, 300, 3), np.uint8)
    drawn = draw_boxes(picture, [person((50, 60, 150, 200))], scores=False)
    assert (drawn[130, 50] == person_colour(0)[::-1]).all()
    assert (drawn[130, 149] == person_colour(0)[::-1]).all()
    assert (drawn[199, 100] == person_colour(0)[::-1]).all()
    assert not drawn[62:198, 52:148].any()
    assert not drawn[:58].any()
    assert not drawn[203:].any()


def test_score_and_identity_are_written():
    picture = np.zeros((300, 300, 3), np.uint8)
    people = [person((50, 60, 150, 200), 0.87)]
    bare = draw_boxes(picture, people, scores=False)
    scored = draw_boxes(picture, people)
    assert (scored[30:60] != bare[30:60]).any()
    np.testing.assert_array_equal(scored[70:], bare[70:])
    other = draw_boxes(picture, people, identities=[4])
    assert (other[130, 50] == person_colour(4)[::-1]).all()
    assert (other[30:60] != scored[30:60]).any()


def test_label_stays_in_the_picture():
    picture = np.zeros((200, 200, 3), np.uint8)
    drawn = draw_boxes(picture, [person((-30, -30, 400, 400))])
    assert drawn[:20, :20].any()  # in the box, since there is no room above


def test_nobody():
    picture = noise(np.random.default_rng(0), 30, 30)
    for draw in (draw_boxes, draw_keypoints):
        np.testing.assert_array_equal(draw(picture, []), picture)
        with pytest.raises(ValueError, match="expected uint8"):
            draw(picture[..., 0], [])


def test_keypoints():
    picture = np.zeros((100, 100, 3), np.uint8)
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[5], keypoints[7], keypoints[0] = (20, 20, 0.9), (60, 20, 0.9), (50, 80, 0.01)
    people = [flat_person((0, 0, 90, 90), keypoints=keypoints), flat_person((0, 0, 9, 9))]
    drawn = draw_keypoints(picture, people)
    assert drawn[20, 40].any()  # shoulder to elbow
    assert drawn[20, 20].any()
    assert not drawn[60:].any()  # below the threshold
    assert draw_keypoints(picture, people, threshold=0.0)[80, 50].any()
    keypoints[7, 0] = 1e9
    assert draw_keypoints(picture, people).shape == picture.shape
