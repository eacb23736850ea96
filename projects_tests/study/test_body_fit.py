"""Bodies fitted to keypoints."""

import numpy as np
import pytest

from densepose_ext.study.body_fit import FOCAL, BodyFit
from densepose_ext.surface.body import OpenBody
from densepose_ext.surface.raster import project
from densepose_ext.synthetic.poses import sample_posture
from densepose_ext.synthetic.skeleton import turn

SIZE = 200
AREA = 5000.0

pytestmark = pytest.mark.slow  # draws the postures of the prior


@pytest.fixture(scope="module")
def body():
    return OpenBody.load()


@pytest.fixture(scope="module")
def fitter(body):
    return BodyFit(body)


def seen(body, count, seed=0):
    """Vertices (N, V, 3) of people three metres away, and keypoints (N, 17, 3) in whole pixels."""
    rng = np.random.default_rng(seed)
    shapes = body.population[:count] / 2
    turns = np.stack([sample_posture(rng, body, body.joints)[1] for _ in range(count)])
    vertices, _ = body.pose(*body.shape(shapes), turns)
    around = np.stack([turn([0, 0, 1], angle) for angle in rng.uniform(0, 6, count)])
    axes = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    vertices = vertices @ (axes @ around).swapaxes(1, 2) + [0.1, 0, 3]
    pixels = np.floor(project(body.keypoints(vertices), FOCAL * SIZE, (SIZE, SIZE)))
    return vertices, np.concatenate([pixels, np.full((count, 17, 1), 2.0)], 2)


def fit(fitter, keypoints, steps=200):
    count = len(keypoints)
    return fitter.fit(keypoints, np.full(count, AREA), np.full((count, 2), SIZE), steps)


def test_bodies_reach_their_keypoints(body, fitter):
    vertices, keypoints = seen(body, 6)
    found = fit(fitter, keypoints)
    assert np.median(found.error) < 2
    assert found.error.max() < 5
    # Bodies are turned as the true ones are, at about their distance.
    across = [body.keypoints(v)[:, 5] - body.keypoints(v)[:, 6]
              for v in (vertices, fitter.vertices(found))]  # fmt: skip
    true, own = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in across)
    assert np.median((true * own).sum(1)) > 0.9
    assert np.abs(found.translation[:, 2] - 3).max() < 1


def test_errors_are_those_of_the_vertices(body, fitter):
    _, keypoints = seen(body, 3)
    keypoints[1, 7:, 2] = 0
    found = fit(fitter, keypoints, steps=5)
    points = project(body.keypoints(fitter.vertices(found)), FOCAL * SIZE, (SIZE, SIZE))
    distances = np.linalg.norm(points - keypoints[..., :2] - 0.5, axis=2)
    expected = [d[k[:, 2] > 0].mean() for d, k in zip(distances, keypoints)]
    np.testing.assert_allclose(found.error, expected, atol=0.1)


def test_one_wrong_keypoint_changes_little(body, fitter):
    _, keypoints = seen(body, 3, seed=1)
    spoilt = keypoints.copy()
    spoilt[:, 9, :2] = [5, 195]
    before, after = fit(fitter, keypoints, 120), fit(fitter, spoilt, 120)
    points = [
        project(body.keypoints(fitter.vertices(one)), FOCAL * SIZE, (SIZE, SIZE))
        for one in (before, after)
    ]
    moved = np.linalg.norm(points[0] - points[1], axis=2)[:, [0, 5, 6, 11, 12, 15, 16]]
    assert np.median(moved) < 2


def test_results_do_not_depend_on_who_else_is_fitted(body, fitter):
    _, keypoints = seen(body, 3)
    together, alone = fit(fitter, keypoints, 20), fit(fitter, keypoints[1:2], 20)
    np.testing.assert_allclose(together.translation[1], alone.translation[0], atol=1e-3)
