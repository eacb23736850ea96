import numpy as np
import pytest

from densepose_ext.annotation.mistakes import far_from_model, far_from_neighbours
from densepose_ext.annotation.sampling import POINTS_PER_REGION, sample_points
from densepose_ext.data.rle import encode_part_masks
from projects_tests.annotation.small_project import regions, true_iuv, truth, views


def test_points_lie_in_their_regions():
    x0, y0, w, h = box = truth()["bbox"]
    points = sample_points(encode_part_masks(regions()), box)
    for x, y, region in points:
        assert regions()[int((y - y0) * 256 / h), int((x - x0) * 256 / w)] == region
    counts = np.bincount([region for _, _, region in points], minlength=15)
    assert counts.max() == POINTS_PER_REGION
    assert set(np.flatnonzero(counts)) == set(np.unique(regions())) - {0}


def test_points_are_spread():
    """Nowhere in a long region is far from a point."""
    painted = np.zeros((256, 256), np.uint8)
    painted[:, 100:120] = 6
    points = sample_points(encode_part_masks(painted), [0, 0, 256, 1024])
    down = np.sort([y for _, y, _ in points])
    assert len(points) == POINTS_PER_REGION
    assert np.diff(down).max() < 2 * 1024 / POINTS_PER_REGION


def test_small_regions_have_fewer():
    painted = np.zeros((256, 256), np.uint8)
    painted[100:110, 100:110], painted[5, 5] = 3, 4
    points = sample_points(encode_part_masks(painted), [0, 0, 256, 256])
    assert [region for *_, region in points] == [3] * 8 + [4]
    assert sample_points(encode_part_masks(painted * 0), [0, 0, 256, 256]) == []


def test_the_same_again():
    masks = encode_part_masks(regions())
    assert sample_points(masks, truth()["bbox"], 3) == sample_points(masks, truth()["bbox"], 3)


class TestMistakes:
    @pytest.fixture
    def torso(self):
        """Numbers, pixels and places of the points of the torso, where they belong."""
        points = [
            p for p in sample_points(encode_part_masks(regions()), truth()["bbox"]) if p[2] == 1
        ]
        pixels = np.array([[x, y] for x, y, _ in points])
        iuv = np.array([true_iuv(x, y) for x, y in pixels])
        known = iuv[:, 0] > 0
        return np.arange(known.sum()), pixels[known], views().body.points(*iuv[known].T)

    def test_what_is_right_is_not_suspected(self, torso):
        assert far_from_neighbours(*torso) == []
        assert far_from_model(torso[0], torso[2], torso[2] + 0.01) == []

    def test_a_point_far_off_is(self, torso):
        numbers, pixels, places = torso
        wrong = places.copy()
        wrong[4] += [0, 0, 0.35]
        found = far_from_neighbours(numbers, pixels, wrong)
        assert max(found, key=lambda one: one.distance).point == 4
        assert len(found) <= 2
        [only] = far_from_model(numbers, wrong, places)
        assert only.point == 4
        assert only.distance == pytest.approx(0.35)

    def test_a_model_that_sees_nobody(self, torso):
        assert far_from_model(torso[0], torso[2], torso[2] * np.nan) == []
