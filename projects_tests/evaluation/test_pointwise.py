"""Measures over points, compared with values worked out by hand."""

import json

import numpy as np
import pytest

from densepose_ext.evaluation.pointwise import ImagePoints, PointMeasures, match_by_box
from densepose_ext.surface.parts import FINE_PART_NAMES


def points(image_id, found, true, predicted, errors, person=None, gps=None, **more):
    count = len(found)
    values = {
        "image_id": image_id,
        "person_ids": [n + 10 * image_id for n in range(count)],
        "found": np.array(found),
        "gps": np.zeros(count) if gps is None else np.array(gps),
        "mask_iou": np.zeros(count),
        "areas": np.full(count, 5000.0),
        "visible": np.full(count, 0.5),
        "person": np.zeros(len(true), np.uint16) if person is None else np.array(person),
        "true": np.array(true, np.uint8),
        "predicted": np.array(predicted, np.uint8),
        "errors": np.array(errors, np.float32),
    }
    return ImagePoints(**(values | more))


def test_the_best_scored_detection_finds_a_person():
    box_iou = np.array([[0.6, 0.0], [0.9, 0.5], [0.9, 0.4]])
    assert match_by_box(box_iou, np.array([True, True])).tolist() == [0, 1]
    assert match_by_box(box_iou, np.array([False, True])).tolist() == [-1, 1]
    assert match_by_box(np.zeros((0, 2)), np.array([True, True])).tolist() == [-1, -1]
    assert match_by_box(np.array([[0.49]]), np.array([True])).tolist() == [-1]


def test_shares_by_hand():
    image = points(
        1,
        [True, False],
        true=[1, 1, 2, 3, 4],
        predicted=[1, 2, 2, 0, 0],
        errors=[0.04, 0.2, 0.08, np.inf, np.inf],
        person=[0, 0, 0, 0, 1],
    )
    tables = PointMeasures([image]).tables()
    assert (tables["people"], tables["found"], tables["points"]) == (2, 0.5, 4)
    assert tables["right_part"] == 0.5
    # of 4, 8, 20 and infinitely many centimetres the lower middle
    assert tables["median_cm"] == pytest.approx(8)
    assert tables["within_5cm"] == 0.25
    assert tables["within_10cm"] == 0.5
    assert tables["within_30cm"] == 0.75
    assert tables["by_part"]["torso back"]["points"] == 2
    assert tables["by_part"]["torso back"]["right_part"] == 0.5
    assert tables["by_part"]["right foot"]["right_part"] is None
    assert tables["by_group"]["torso"]["points"] == 3
    assert tables["by_group"]["hands"]["median_cm"] is None
    assert tables["by_side"]["back"]["points"] == 2
    assert tables["by_side"]["right"]["points"] == 1
    confusion = np.array(tables["confusion"])
    assert confusion.shape == (24, 25)
    assert confusion.sum() == 4
    assert (confusion[0, 1], confusion[0, 2], confusion[2, 0]) == (1, 1, 1)
    json.dumps(tables, allow_nan=False)


def test_curve_is_the_normalised_area():
    image = points(1, [True], [1] * 4, [1] * 4, [0, 0.05, 0.2, np.inf])
    curve = PointMeasures([image]).curve()
    # to 10 cm: 1/4 all along, another 1/4 from 5 cm on
    assert curve["auc10"] == pytest.approx(0.25 + 0.125)
    assert curve["auc30"] == pytest.approx((30 + 25 + 10) / 120)
    threshold, share = np.array(curve["threshold_cm"]), np.array(curve["share"])
    assert share[threshold == 4.5] == 0.25
    assert share[threshold == 5.5] == 0.5
    assert share[-1] == 0.75
    # the same area from the sampled curve
    assert np.trapezoid(share, threshold) / 30 == pytest.approx(curve["auc30"], abs=0.01)


def test_bins_of_size_and_visibility():
    image = points(
        1,
        [True, True, True],
        [1, 1, 1],
        [1, 1, 2],
        [0, 0, 0.5],
        person=[0, 1, 2],
        gps=[1, 0.9, 0.2],
        areas=np.array([32.0**2, 96.0**2, 96.0**2 + 1]),
        visible=np.array([0.5, 0.75, 1.0]),
    )
    tables = PointMeasures([image]).tables()
    assert [row["people"] for row in tables["by_size"].values()] == [1, 1, 1]
    assert [row["mean_gps"] for row in tables["by_size"].values()] == [1, 0.9, 0.2]
    assert [row["people"] for row in tables["by_visible_share"].values()] == [1, 1, 1]
    assert tables["by_size"]["large"]["right_part"] == 0


def part(name):
    return FINE_PART_NAMES.index(name)


@pytest.mark.parametrize(
    ("true", "predicted", "what"),
    [
        ("left hand", "right hand", "left and right exchanged"),
        ("torso front", "torso back", "front and back exchanged"),
        ("torso front", "left foot", "another part"),
        ("torso front", "background", "background"),
        ("torso front", "torso front", "right part"),
        # a part that is its own mirror image is not an exchange
        ("left upper leg front", "right upper leg front", "left and right exchanged"),
    ],
)
def test_trouble_is_named(true, predicted, what):
    image = points(1, [True], [part(true)], [part(predicted)], [0.5])
    (worst,) = PointMeasures([image]).ranked(10)
    assert worst["what"] == f"{what} at 100% of the points"


def test_ranks():
    images = [
        points(n, [True, False], [1], [1], [0], gps=[gps, 0], areas=np.array([n, 10.0 * n]))
        for n, gps in ((1, 0.5), (2, 0.2), (3, 0.5), (4, 0.9))
    ]
    measures = PointMeasures(images)
    assert [w["image_id"] for w in measures.ranked(3)] == [2, 3, 1]
    assert [w["image_id"] for w in measures.ranked(2, worst=False)] == [4, 3]
    missed = measures.missed(2)
    assert [(m["image_id"], m["person_id"], m["what"]) for m in missed] == [
        (4, 41, "not found"),
        (3, 31, "not found"),
    ]


def test_nobody():
    tables = PointMeasures([]).tables()
    assert tables["people"] == 0
    assert tables["curve"]["share"] is None
    json.dumps(tables, allow_nan=False)
