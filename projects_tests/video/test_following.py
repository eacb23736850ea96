"""One person is followed through a video, whoever else is there."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from densepose_ext.prediction.people import People
from densepose_ext.prediction.stream import Frame
from densepose_ext.structures import DensePoseResult, Person
from densepose_ext.video.following import follow_person

SIZE = (60, 200)


def person(x, score=0.9):
    labels = torch.full((40, 20), 1, dtype=torch.uint8)
    box = np.array([x, 10, x + 20, 50], np.float32)
    return Person(box, score, DensePoseResult(labels, torch.zeros(2, 40, 20)))


def predictor(scene):
    """Sees in a frame what the scene has under the value of its pixels."""
    return SimpleNamespace(
        batch=lambda pictures: [People(scene(int(p[0, 0, 0])), SIZE) for p in pictures]
    )


def frames(count):
    return [Frame(str(n), np.full((*SIZE, 3), n, np.uint8)) for n in range(count)]


def crossing(n):
    """Two walk in opposite directions, now one, now the other surer; frame 0 is empty."""
    if n == 0:
        return []
    left, right = person(2 * n, 0.5 + 0.4 * (n % 2)), person(150 - 2 * n, 0.7)
    return sorted([left, right], key=lambda p: -p.score)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("number", [1, 2])
def test_the_same_one(number, every):
    seen = list(follow_person(frames(30), predictor(crossing), number, every))
    first = every  # frame 0 is empty
    start = crossing(first)[number - 1].box[0]
    way = 2 if start < 75 else -2
    assert len(seen) == len(range(first, 30, every))
    for k, (picture, found) in enumerate(seen):
        n = first + k * every
        assert picture[0, 0, 0] == n
        assert found.box[0] == start + way * (n - first)


def test_numbers_below_one():
    for wrong in ({"number": 0}, {"every": 0}):
        with pytest.raises(ValueError, match="expected 1 or more"):
            next(follow_person(frames(2), predictor(crossing), **wrong))
