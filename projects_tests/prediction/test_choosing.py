"""Choosing one of several people."""

import pytest

from densepose_ext import People
from densepose_ext.prediction.choosing import Follower, chosen
from projects_tests.visualization.people import flat_person

SIZE = (100, 100)
LARGE = flat_person((0, 0, 40, 40), score=0.5)
CENTRAL = flat_person((45, 45, 60, 60), score=0.6)
BEST = flat_person((80, 80, 90, 90), score=0.9)


def test_of_a_picture():
    people = People([BEST, CENTRAL, LARGE], SIZE)
    assert chosen(people, "all") is people
    assert list(chosen(people, "largest")) == [LARGE]
    assert list(chosen(people, "centre")) == [CENTRAL]
    assert chosen(people, "centre").size == SIZE
    assert chosen(People([], SIZE), "largest") == []
    with pytest.raises(ValueError, match="'best'; expected one of all, largest, centre"):
        chosen(people, "best")


def test_background_does_not_count():
    empty = flat_person((0, 0, 90, 90), part=0)
    assert list(chosen(People([empty, CENTRAL], SIZE), "largest")) == [CENTRAL]


def test_a_detection_of_two_people_is_not_the_largest_person():
    left, right = flat_person((0, 0, 40, 90), score=0.9), flat_person((45, 0, 80, 90), score=0.8)
    both = flat_person((0, 0, 80, 90), score=0.6)
    assert list(chosen(People([left, right, both], SIZE), "largest")) == [left]


def test_in_a_video_the_same_person_stays():
    follow = Follower("largest")
    assert follow(People([], SIZE), []) == ([], [])
    assert follow(People([BEST, LARGE], SIZE), [4, 5]) == ([LARGE], [5])
    assert follow(People([LARGE, BEST], SIZE), [4, 5]) == ([BEST], [5])  # now smaller
    assert follow(People([BEST, LARGE], SIZE), [4, 7]) == ([LARGE], [7])  # 5 is gone
    everybody = People([BEST, LARGE], SIZE)
    assert Follower("all")(everybody, [1, 2]) == (everybody, [1, 2])
