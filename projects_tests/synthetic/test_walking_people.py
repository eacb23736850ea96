"""Clips: deterministic, people who move and nothing else, exact truth."""

import numpy as np
import pytest

from densepose_ext.synthetic.truth import true_people
from projects_tests.synthetic.walking_people import ClipSettings, make_clip

SETTINGS = ClipSettings(size=96, frames=6, rate=6, people=2, seed=4)


@pytest.fixture(scope="module")
def clip():
    return list(make_clip(SETTINGS))


@pytest.mark.slow
def test_a_function_of_its_settings(clip):
    again = list(make_clip(SETTINGS))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(clip, again))
    other = next(iter(make_clip(ClipSettings(size=96, frames=6, rate=6, people=2, seed=5))))
    assert not np.array_equal(clip[0].image, other.image)


def test_only_people_move(clip):
    images = np.stack([example.image.astype(int) for example in clip])
    people = np.stack([example.seen.owner >= 0 for example in clip]).any(0)
    corner = np.zeros(people.shape, bool)
    corner[:8] = True  # above everybody: no shadow falls there
    assert not (people & corner).any()
    assert (images.std(0).max(-1)[corner] == 0).all()
    assert (images.std(0).max(-1)[people] > 3).mean() > 0.8


def test_people_walk_on_at_their_speed(clip):
    for person, way in ((0, 1), (1, -1)):
        places = np.stack([example.scene.people[person].placement[:2, 3] for example in clip])
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        assert np.allclose(steps, SETTINGS.speed / SETTINGS.rate)
        assert (np.diff(places[:, 0]) * way > 0).all()
        lowest = [example.scene.people[person].vertices[:, 2].min() for example in clip]
        assert np.allclose(lowest, 0)
    knees = [example.scene.people[0].rotations for example in clip]
    assert np.ptp(np.stack(knees), axis=0).max() > 0.3


def test_truth_of_every_frame(clip):
    for example in clip:
        people = true_people(example)
        assert len(people) == len(example.annotations) == 2
        for person in people:
            labels = person.result.labels.numpy()
            assert (labels > 0).mean() > 0.15
            assert ((person.result.uv.numpy() > 0).any(0) <= (labels > 0)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 8}, "size is 8"),
        ({"people": 0}, "people is 0"),
        ({"frames": 0}, "0 frames"),
        ({"rate": 0}, "0 a second"),
        ({"speed": 9}, "speed is 9"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_are_checked(change, words):
    with pytest.raises(ValueError, match=words):
        ClipSettings(**change)
