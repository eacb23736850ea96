"""Identities last through motion, crossings and gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densepose_ext.synthetic.truth import true_people
from densepose_ext.video.tracking import Tracker, box_iou
from projects_tests.synthetic.walking_people import ClipSettings, make_clip
from projects_tests.visualization.people import flat_person


def box(x, y, width=40, height=80):
    return [x, y, x + width, y + height]


@pytest.mark.parametrize("seed", [0, 1])
def test_two_who_cross_keep_their_identities(seed):
    settings = ClipSettings(size=112, frames=24, rate=12, people=2, seed=seed)
    tracker, names = Tracker(), {}
    both = 0
    for example in make_clip(settings):
        people = true_people(example)[::-1]  # the order says nothing
        truth = [a["person"] for a in example.annotations][::-1]
        for identity, person in zip(tracker.update(people), truth):
            names.setdefault(person, set()).add(identity)
        boxes = np.array([person.box for person in people])
        both += len(people) == 2 and box_iou(boxes[:1], boxes[1:])[0, 0] > 0.1
    assert both >= 2  # they do cross
    assert names[0] != names[1]
    assert len(names[0]) == len(names[1]) == 1


def test_the_surface_decides_between_equal_boxes():
    tracker = Tracker()
    first = [flat_person(box(0, 0), part=1), flat_person(box(6, 0), part=3)]
    assert tracker.update(first) == [1, 2]
    # each box is as near to the one as to the other
    now = [flat_person(box(3, 0), part=3), flat_person(box(3, 0), part=2)]
    assert tracker.update(now) == [2, 1]  # front and back of the torso are one coarse part


def test_the_assignment_is_the_best_of_all():
    tracker = Tracker()
    assert tracker.update([flat_person(box(0, 0)), flat_person(box(20, 0))]) == [1, 2]
    # both have gone on by 12: the first one is nearer to where the second one was
    assert tracker.update([flat_person(box(12, 0)), flat_person(box(32, 0))]) == [1, 2]


@pytest.mark.parametrize(("missed", "expected"), [(1, [1]), (3, [1]), (4, [2])])
def test_gaps_are_bridged_up_to_a_length(missed, expected):
    tracker = Tracker(gap=3)
    for step in range(8):
        assert tracker.update([flat_person(box(10 * step, 0))]) == [1]
    for _ in range(missed):
        assert tracker.update([]) == []
    # who is missing is expected where the speed leads to
    assert tracker.update([flat_person(box(10 * (8 + missed), 0))]) == expected


def test_newcomers_get_new_numbers():
    tracker = Tracker()
    assert tracker.update([flat_person(box(0, 0))]) == [1]
    assert tracker.update([flat_person(box(200, 0)), flat_person(box(2, 0))]) == [2, 1]
    assert tracker.update([flat_person(box(203, 0))]) == [2]
    assert tracker.update([]) == []
    assert tracker.update([flat_person(box(0, 300))]) == [3]


@given(st.lists(st.lists(st.tuples(*[st.integers(-30, 120)] * 2), max_size=6), max_size=6))
def test_identities_are_different_and_count_up(frames):
    tracker, highest = Tracker(gap=1), 0
    for places in frames:
        identities = tracker.update([flat_person(box(x, y, 20, 30), part=5) for x, y in places])
        assert len(set(identities)) == len(places)
        fresh = sorted(n for n in identities if n > highest)
        assert fresh == list(range(highest + 1, highest + 1 + len(fresh)))
        highest += len(fresh)


def test_iou():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 20, 20]], float)
    expected = [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 0]]
    assert np.allclose(box_iou(boxes, boxes), expected)
    assert box_iou(boxes[:0], boxes).shape == (0, 3)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="a gap of -1"):
        Tracker(gap=-1)
    with pytest.raises(ValueError, match="similarity is 2"):
        Tracker(similarity=2)
