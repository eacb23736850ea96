"""A noisy surface flickers less, and is not farther from the truth, once it is smoothed."""

import numpy as np
import pytest
import torch

from densepose_ext.surface.parts import FINE_PART_NAMES
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.truth import true_people
from densepose_ext.video.smoothing import SurfaceSmoother
from projects_tests.synthetic.walking_people import ClipSettings, make_clip
from projects_tests.video.flicker import errors, flicker
from projects_tests.video.noisy_people import noisy
from projects_tests.visualization.people import flat_person


@pytest.fixture(scope="module")
def truth():
    """Somebody who walks, in 8 frames."""
    return [true_people(e)[0] for e in make_clip(ClipSettings(size=224, frames=8, seed=0))]


def smoothed(people, **options):
    smoother = SurfaceSmoother(**options)
    return [smoother([person], [1])[0] for person in people]


def mean_error(truth, people):
    return np.mean([errors(*pair).mean() for pair in zip(truth[2:], people[2:])])


def mean_flicker(truth, people):
    pairs = [
        flicker(tuple(truth[n : n + 2]), tuple(people[n : n + 2])) for n in range(2, len(truth) - 1)
    ]
    return np.mean([pair.mean() for pair in pairs])


def test_flicker_falls_and_accuracy_does_not(truth):
    rng = np.random.default_rng(0)
    found = [noisy(person, rng) for person in truth]
    better = smoothed(found)
    assert mean_flicker(truth, better) < 0.6 * mean_flicker(truth, found)
    assert mean_error(truth, better) < 0.7 * mean_error(truth, found)


def test_jitter_alone_falls_too(truth):
    rng = np.random.default_rng(0)
    found = [noisy(person, rng, flips=0, blobs=0) for person in truth]
    better = smoothed(found)
    assert mean_flicker(truth, better) < 0.8 * mean_flicker(truth, found)
    assert mean_error(truth, better) < mean_error(truth, found)


def test_the_truth_stays_about_where_it_is(truth):
    same = smoothed(truth)
    assert mean_error(truth, same) < 0.01
    for before, after in zip(truth, same):
        labels = before.result.labels, after.result.labels
        assert torch.equal(labels[0] > 0, labels[1] > 0)
        assert (labels[0] == labels[1]).float().mean() > 0.98


def test_the_first_frame_and_newcomers_are_left_alone(truth):
    smoother = SurfaceSmoother()
    for number, person in enumerate(truth[:3]):
        (after,) = smoother([person], [number])  # somebody else each time
        assert torch.equal(after.result.labels, person.result.labels)
        assert torch.equal(after.result.uv, person.result.uv)
        assert after.box is person.box
    assert smoother([], []) == []
    (after,) = smoother([truth[3]], [2])  # was away for a frame
    assert torch.equal(after.result.uv, truth[3].result.uv)


def test_weights_within_a_chart():
    boxes = [0, 0, 30, 40]
    first = flat_person(boxes, part=1, u=0.5, v=0.5)
    second = flat_person(boxes, part=1, u=0.52, v=0.48)
    after = smoothed([first, second], weight=0.25)[1].result
    assert torch.allclose(after.uv[0], torch.tensor(0.515))
    assert torch.allclose(after.uv[1], torch.tensor(0.485))


def test_across_a_seam_the_mean_is_on_the_body_between():
    surface = BodySurface.load()
    # two places beside each other on different charts
    face = surface.body.faces
    part = surface.charts.face_part
    edges = np.sort(face[:, [[0, 1], [1, 2], [2, 0]]], -1).reshape(-1, 2)
    order = np.lexsort(edges.T)
    same = (edges[order[1:]] == edges[order[:-1]]).all(1)
    a, b = order[:-1][same] // 3, order[1:][same] // 3
    back, front = (FINE_PART_NAMES.index(f"torso {side}") for side in ("back", "front"))
    a, b = next((x, y) for x, y in zip(a, b) if {part[x], part[y]} == {back, front})
    third = np.full((1, 3), 1 / 3)
    places = [[float(value[0]) for value in surface.iuv(np.array([f]), third)] for f in (a, b)]
    people = [flat_person([0, 0, 20, 20], int(i), u, v) for i, u, v in places]
    after = smoothed(people, weight=0.5)[1].result
    ends = [surface.points(*np.array([place]).T)[0] for place in places]
    i, (u, v) = after.labels.numpy().ravel(), after.uv.numpy().reshape(2, -1)
    between = surface.points(i, u, v)
    apart = np.linalg.norm(ends[0] - ends[1])
    assert np.allclose(between, np.mean(ends, 0), atol=0.3 * apart)
    assert not np.allclose(between, ends[1], atol=0.1 * apart)


def test_people_of_nothing(truth):
    nobody = flat_person([0, 0, 10, 10], part=0)
    for person in smoothed([truth[0], nobody, nobody, truth[1]]):
        assert torch.isfinite(person.result.uv).all()


def test_errors_of_measuring(truth):
    assert errors(truth[0], truth[0]).max() == 0
    assert flicker((truth[0], truth[0]), (truth[0], truth[0])).max() == 0
    with pytest.raises(ValueError, match="expected the same box"):
        errors(truth[0], flat_person([0, 0, 10, 10]))
    for options, words in (({"weight": 1}, "weight is 1"), ({"reach": 0}, "reach is 0")):
        with pytest.raises(ValueError, match=words):
            SurfaceSmoother(**options)
