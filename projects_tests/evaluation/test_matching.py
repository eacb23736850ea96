"""Matching and precision: compared with a slow, literal version, and rule by rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.evaluation.matching import (
    AREA_RANGES,
    THRESHOLDS,
    Matches,
    match,
    precision_recall,
    scored_thresholds,
    summarize,
)


def literal_match(sim, box_iou, dt_area, area, has_points, crowd, thresholds, low, high):
    """The rules one after the other, for one area range. Returns matched, ignored, people."""
    count, num_people = sim.shape
    ignore = [not p or not low <= a <= high for p, a in zip(has_points, area)]
    order = sorted(range(num_people), key=lambda g: ignore[g])
    matched = np.zeros((len(thresholds), count), bool)
    ignored = np.zeros((len(thresholds), count), bool)
    for t, threshold in enumerate(thresholds):
        taken = set()
        for d in range(count):
            best, chosen = min(threshold, 1 - 1e-10), None
            for g in order:
                if g in taken and not crowd[g]:
                    continue
                if chosen is not None and not ignore[chosen] and ignore[g]:
                    break
                if sim[d, g] < best or sim[d, g] == 0:
                    continue
                best, chosen = sim[d, g], g
            if chosen is not None:
                taken.add(chosen)
                matched[t, d], ignored[t, d] = True, ignore[chosen]
    for d in range(count):
        if num_people and not matched[-1, d]:
            best, chosen = 0.8, None
            for g in order:
                if (g not in taken or crowd[g]) and box_iou[d, g] >= best:
                    best, chosen = box_iou[d, g], g
            if chosen is not None:
                ignored[:, d] = ignore[chosen]
                if ignore[chosen]:
                    matched[-1, d] = True
                    taken.add(chosen)
    for d in range(count):
        if not low <= dt_area[d] <= high:
            ignored[:, d] |= ~matched[:, d]
    if all(ignore):
        ignored[:] = True
    return matched, ignored, ignore.count(False)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**9), count=st.integers(0, 7), people=st.integers(0, 5))
def test_as_the_literal_rules_say(seed, count, people):
    random = np.random.default_rng(seed)
    # a coarse grid of values, so that ties and bounds are met
    sim = random.choice([0, 0.3, 0.5, 0.7, 0.95, 1], (count, people))
    box_iou = random.choice([0, 0.5, 0.8, 0.9, 1], (count, people))
    dt_area = random.choice([100, 1024, 5000, 9216, 20000], count).astype(float)
    area = random.choice([100, 1024, 5000, 9216, 20000], people).astype(float)
    has_points, crowd = random.random(people) < 0.7, random.random(people) < 0.3
    found = match(sim, box_iou, dt_area, area, has_points, crowd)
    for a, (low, high) in enumerate(AREA_RANGES.values()):
        matched, ignored, number = literal_match(
            sim, box_iou, dt_area, area, has_points, crowd, THRESHOLDS, low, high
        )
        counted = ~ignored
        np.testing.assert_array_equal(found.ignored[a], ignored)
        np.testing.assert_array_equal(found.matched[a] & counted, matched & counted)
        assert found.people[a] == number


def run(sim, box_iou=None, dt_area=None, area=None, has_points=None, crowd=None, thresholds=None):
    """Matches of the range of all areas: matched and ignored, (T, D)."""
    sim = np.array(sim, float)
    count, people = sim.shape
    result = match(
        sim,
        np.zeros_like(sim) if box_iou is None else np.array(box_iou, float),
        np.full(count, 5000.0) if dt_area is None else np.array(dt_area, float),
        np.full(people, 5000.0) if area is None else np.array(area, float),
        np.ones(people, bool) if has_points is None else np.array(has_points),
        np.zeros(people, bool) if crowd is None else np.array(crowd),
        np.array([0.5, 0.95] if thresholds is None else thresholds),
    )
    return result


def test_the_better_detection_comes_first():
    result = run([[0.6], [0.99]])
    np.testing.assert_array_equal(result.matched[0], [[True, False], [False, True]])


def test_a_person_is_found_once_a_crowd_again_and_again():
    assert run([[0.9], [0.9]]).matched[0, 0].tolist() == [True, False]
    assert run([[0.9], [0.9]], crowd=[True]).matched[0, 0].tolist() == [True, True]


def test_of_equal_people_the_later_one():
    # the second detection can only have the person that the first one left
    result = run([[0.9, 0.9], [0.9, 0.0]])
    assert result.matched[0, 0].tolist() == [True, True]
    result = run([[0.9, 0.9], [0.0, 0.9]])
    assert result.matched[0, 0].tolist() == [True, False]


def test_ignored_people_come_last_however_similar():
    result = run([[0.99, 0.6]], has_points=[False, True])
    assert result.matched[0, 0, 0]
    assert not result.ignored[0, 0, 0]
    # at the highest threshold only the ignored one is left
    assert result.matched[0, 1, 0]
    assert result.ignored[0, 1, 0]


def test_a_crowd_with_points_is_not_ignored():
    assert run([[0.9]], crowd=[True]).people[0] == 1
    assert run([[0.9]], crowd=[True], has_points=[False]).people[0] == 0


def test_similarity_0_never_matches():
    assert not run([[0.0]], thresholds=[0.0, 0.5]).matched.any()


def test_threshold_1_accepts_1():
    assert run([[1 - 1e-11]], thresholds=[1.0]).matched[0, 0, 0]


def test_bounds_of_area_ranges_are_inclusive():
    result = run([[0.9, 0, 0]] * 3, area=[32**2, 96**2, 96**2 + 1])
    assert result.people.tolist() == [3, 2, 2]


def test_unmatched_detections_outside_an_area_range_are_ignored():
    result = run([[0.9], [0.0]], dt_area=[5000, 100])
    assert result.ignored[0].tolist() == [[False, False]] * 2
    assert result.ignored[1].tolist() == [[False, True]] * 2


def test_detections_without_real_people_are_ignored():
    assert run(np.zeros((2, 0))).ignored.all()
    assert run([[0.0]], has_points=[False]).ignored.all()
    # of an area range as well: the person is medium
    assert run([[0.9]]).ignored[:, 0, 0].tolist() == [False, False, True]


def test_a_left_over_detection_takes_over_the_flag_of_the_person_in_its_box():
    """Matched to an ignored person at .5, but in the box of a real one: false everywhere at .95."""
    sim, has_points = [[0.6, 0.0]], [False, True]
    without = run(sim, has_points=has_points, box_iou=[[0, 0.79]])
    assert without.ignored[0, :, 0].tolist() == [True, False]
    taken_over = run(sim, has_points=has_points, box_iou=[[0, 0.8]])
    assert taken_over.ignored[0, :, 0].tolist() == [False, False]


def test_a_left_over_detection_in_the_box_of_an_ignored_person_is_ignored():
    sim, has_points = [[0.0, 0.0], [0.0, 0.0]], [False, True]
    result = run(sim, has_points=has_points, box_iou=[[0.9, 0], [0.9, 0]])
    assert result.ignored[0, :, 0].tolist() == [True, True]
    # the person is taken after that: the second detection stays false
    assert result.ignored[0, :, 1].tolist() == [False, False]


def test_left_over_detections_take_a_crowd_again_and_again():
    """The first detection finds the crowd at .95; the others share its box and take its flag."""
    sim, has_points = [[0.99, 0.0], [0.0, 0.0], [0.0, 0.0]], [False, True]
    box_iou = [[1, 0], [0.9, 0], [0.9, 0]]
    result = run(sim, has_points=has_points, box_iou=box_iou, crowd=[True, False])
    assert result.ignored[0].all()
    result = run(sim, has_points=has_points, box_iou=box_iou)
    assert result.ignored[0, 0].tolist() == [True, False, False]


def test_the_take_over_looks_at_the_last_threshold_alone():
    """A detection that is matched at .95 takes over no flag."""
    result = run([[0.99, 0.0]], has_points=[True, False], box_iou=[[0, 0.95]])
    assert not result.ignored[0].any()


def matches(true, false, people, scores=None):
    """Matches of the same detections in every area range and at every threshold."""
    true, false = np.array(true, bool), np.array(false, bool)
    shape = (len(AREA_RANGES), len(THRESHOLDS), len(true))
    return Matches(
        np.arange(len(true), 0, -1.0),
        np.zeros(len(true), int),
        np.broadcast_to(true, shape),
        np.broadcast_to(false, shape),
        np.full((len(AREA_RANGES), 1), people),
    )


def test_precision_recall_by_hand():
    true, false = np.array([[1, 0, 1, 0]]), np.array([[0, 1, 0, 1]])
    precision, recall = precision_recall(true, false, 4)
    assert recall[0] == 0.5
    # precision 1 up to recall 1/4, 2/3 up to 1/2, then nothing
    assert precision[0, :26] == pytest.approx(1)
    assert precision[0, 26:51] == pytest.approx(2 / 3)
    assert not precision[0, 51:].any()


def test_metrics_without_people_are_minus_one():
    nobody = summarize([matches([0], [1], 0)], THRESHOLDS)
    assert set(nobody.values()) == {-1.0}
    perfect = summarize([matches([1], [0], 1)], THRESHOLDS)
    assert perfect == pytest.approx(dict.fromkeys(nobody, 1.0))
    # the mean is over categories with people
    both = summarize([matches([0], [1], 0), matches([1], [0], 1)], THRESHOLDS)
    assert both == pytest.approx(perfect)


def test_low_thresholds_add_metrics_and_change_none():
    assert scored_thresholds(0.5).tolist() == THRESHOLDS.tolist()
    thresholds = scored_thresholds(0.2)
    assert thresholds.tolist() == [0.2, 0.3, 0.4, *THRESHOLDS]
    assert scored_thresholds(0.35).tolist() == [0.4, *THRESHOLDS]
    shape = (3, len(thresholds), 1)
    true = np.zeros(shape, bool)
    true[:, :2] = True
    metrics = summarize(
        [Matches(np.ones(1), np.zeros(1, int), true, ~true, np.ones((3, 1)))], thresholds
    )
    assert list(metrics)[:6] == ["AP", "AP20", "AP30", "AP40", "AP50", "AP75"]
    assert metrics["AP20"] == metrics["AP30"] == pytest.approx(1)
    assert metrics["AP40"] == metrics["AP"] == metrics["AR"] == 0
