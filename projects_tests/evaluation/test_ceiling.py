"""The ground truth as a results file can represent it."""

import numpy as np
import pytest

from densepose_ext.evaluation.ceiling import truth_as_detections
from densepose_ext.evaluation.people import GroundTruth
from densepose_ext.evaluation.scorecard import Scorecard
from projects_tests.evaluation.grid_world import grid_points, person


def ceiling(path, surface):
    truth = GroundTruth(path)
    card = Scorecard(truth, surface)
    for image in truth.images.values():
        card.add(image, truth_as_detections(truth, image))
    return card


def test_truth_as_prediction_scores_1(write_truth, surface):
    boxes = [
        [20.3, 30.7, 100.2, 80.9],
        [200, 100, 60, 120],
        [-5, 250, 80, 60.5],
        [350.5, 10, 60, 50],
    ]
    people = [person(box, grid_points(box, part=n + 1)) for n, box in enumerate(boxes)]
    people.append(person([0, 0, 50, 50]))  # without dp_*: nothing to score
    card = ceiling(write_truth(people), surface)
    for mode, values in card.metrics().items():
        expected = dict.fromkeys(values, 1.0) | {"APl": -1.0, "ARl": -1.0}
        assert values == pytest.approx(expected), mode


def test_points_on_the_border_are_kept(write_truth, surface):
    """A point at dp_x = 255 lies on the right border of the person's box."""
    box = [20, 30, 100, 80]
    corners = [[20, 30, 1, 0, 0], [120, 30, 1, 1, 0], [20, 110, 1, 0, 1], [120, 110, 1, 1, 1]]
    (scores,) = ceiling(write_truth([person(box, corners)]), surface).images()
    assert scores.gps == pytest.approx(1)


def test_eight_bits_and_shared_pixels_cost(write_truth, surface):
    box = [20, 30, 4, 4]
    points = grid_points(box, count=10)  # 100 points on 16 pixels
    (scores,) = ceiling(write_truth([person(box, points)]), surface).images()
    assert 0.9 < scores.gps < 1
    assert not np.array_equal(points[:, 3], np.trunc(points[:, 3] * 255) / 255)
