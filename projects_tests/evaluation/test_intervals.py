"""Bootstrap intervals: weighting images scores as repeating them does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.evaluation import intervals
from densepose_ext.evaluation.intervals import bootstrap
from densepose_ext.evaluation.matching import THRESHOLDS, Matches, summarize


def made_up(random, images=6, count=30, quality=0.5):
    """Matches in which an image has one person for every true detection, and more."""
    image = np.sort(random.integers(0, images, count))
    true = np.zeros((3, len(THRESHOLDS), count), bool)
    true[:] = random.random((len(THRESHOLDS), count)) < quality
    counted = random.random((3, 1, count)) < 0.9
    people = np.stack([np.bincount(image, minlength=images) + 1] * 3)
    order = random.permutation(count)
    return Matches(
        np.linspace(1, 0, count),
        image[order],
        (true & counted)[..., order],
        (~true & counted)[..., order],
        people,
    )


def repeated(matches, counts):
    """The matches of a dataset in which images are repeated."""
    columns = np.repeat(np.arange(len(matches.image)), counts[matches.image])
    return Matches(
        matches.scores[columns],
        matches.image[columns],
        matches.true[..., columns],
        matches.false[..., columns],
        matches.people * counts,
    )


def exact_precision(true, false, people):
    """Precision averaged over 101 recalls, in whole numbers."""
    true, false = np.cumsum(true), np.cumsum(false)
    precision = np.where(true > 0, true / np.maximum(true + false, 1), 0)
    return np.mean([np.max(precision[100 * true >= j * people], initial=0) for j in range(101)])


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), quality=st.sampled_from([0, 0.3, 1]))
def test_weights_stand_for_repetition(seed, quality):
    random = np.random.default_rng(seed)
    matches = made_up(random, quality=quality)
    weights = random.integers(0, 3, (4, 6)).astype(np.float32)
    weights[:, 0] += 1
    precisions = intervals._precisions(matches, 0, weights, THRESHOLDS)
    for counts, found in zip(weights.astype(int), precisions):
        same = repeated(matches, counts)
        for t in (0, 5):
            expected = exact_precision(same.true[0, t], same.false[0, t], int(same.people[0].sum()))
            assert found[t] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_intervals_hold_the_metric_and_narrow_with_more_images():
    random = np.random.default_rng(0)
    few, many = made_up(random, 20, 100), made_up(random, 400, 2000)
    widths = []
    for matches in (few, many):
        metrics, found = summarize([matches], THRESHOLDS), bootstrap([matches], THRESHOLDS)
        assert list(found) == ["AP", "AP50", "AP75", "APm", "APl"]
        for name, (low, high) in found.items():
            assert low <= metrics[name] <= high
        widths.append(found["AP"][1] - found["AP"][0])
    # 20 times the images: about 1 / sqrt(20) of the width
    assert 0.1 < widths[1] / widths[0] < 0.5


def test_the_same_every_time():
    matches = made_up(np.random.default_rng(0))
    assert bootstrap([matches], THRESHOLDS) == bootstrap([matches], THRESHOLDS)


def test_nobody_to_be_found_has_no_interval():
    matches = made_up(np.random.default_rng(0))
    matches.people[1] = 0
    assert "APm" not in bootstrap([matches], THRESHOLDS)
