"""Confidence intervals of AP, by bootstrap over images (Efron, 1979).

Each resample draws as many images as there are, with replacement. Drawing an image twice doubles
the weight of its detections and people, so matching is done once and only counts are resampled.
R resamples, N detections.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from .matching import AREA_RANGES, RECALLS, THRESHOLDS, Matches

NUM_RESAMPLES = 500

#: Of the resamples: modes and models are compared on the same ones.
SEED = 0

#: Bounds of the interval, in percent.
_PERCENTILES = (2.5, 97.5)


def bootstrap(
    categories: Sequence[Matches], thresholds: np.ndarray
) -> dict[str, tuple[float, float]]:
    """95% intervals of AP, AP50, AP75, APm and APl.

    Args:
        categories, thresholds: as for :func:`resampled`.

    Returns:
        bounds between 0 and 1, for every metric with ground truth.
    """
    values = resampled(categories, thresholds)
    return {metric: percentile_interval(of[~np.isnan(of)]) for metric, of in values.items()}


def percentile_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95% interval of resampled values (R,)."""
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)


def resampled(categories: Sequence[Matches], thresholds: np.ndarray) -> dict[str, np.ndarray]:
    """AP, AP50, AP75, APm and APl of each resample.

    Args:
        categories: the matches of each category.
        thresholds: (T,) that they were matched at.

    Returns:
        (NUM_RESAMPLES,) values between 0 and 1 for every metric with ground truth, nan for a
        resample without.
    """
    metrics = {
        "AP": ("all", THRESHOLDS),
        "AP50": ("all", THRESHOLDS[:1]),
        "AP75": ("all", THRESHOLDS[5:6]),
        "APm": ("medium", THRESHOLDS),
        "APl": ("large", THRESHOLDS),
    }
    names = list(AREA_RANGES)
    precisions: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for matches in categories:
        weights = resample_counts(matches.people.shape[1])
        for a, name in enumerate(names):
            if matches.people[a].sum():
                precisions[name].append(_precisions(matches, a, weights, thresholds))
    found = {}
    for metric, (area, at) in metrics.items():
        if precisions[area]:
            columns = [int(np.abs(THRESHOLDS - value).argmin()) for value in at]
            values = np.stack([p[:, columns] for p in precisions[area]]).mean(2)
            # A resample may lack people of a category, or have none at all.
            there = ~np.isnan(values)
            sums, counts = values.sum(0, where=there), there.sum(0)
            found[metric] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return found


def resample_counts(num_images: int) -> np.ndarray:
    """How many times each image is drawn. (NUM_RESAMPLES, images) float32."""
    drawn = np.random.default_rng(SEED).integers(0, num_images, (NUM_RESAMPLES, num_images))
    drawn += np.arange(NUM_RESAMPLES)[:, None] * num_images
    counts = np.bincount(drawn.ravel(), minlength=NUM_RESAMPLES * num_images)
    return counts.reshape(NUM_RESAMPLES, num_images).astype(np.float32)


def _precisions(
    matches: Matches, area: int, weights: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """AP of each resample at each of the averaged thresholds. (R, 10), nan without people."""
    people = weights @ matches.people[area].astype(np.float32)
    result = np.empty((len(weights), len(THRESHOLDS)))
    for column, threshold in enumerate(THRESHOLDS):
        t = int(np.abs(thresholds - threshold).argmin())
        true, false = matches.true[area, t], matches.false[area, t]
        result[:, column] = _average_precision(matches.image, true, false, weights, people)
    return result


def _average_precision(
    image: np.ndarray, true: np.ndarray, false: np.ndarray, weights: np.ndarray, people: np.ndarray
) -> np.ndarray:
    """Precision averaged over the 101 recalls, for each resample. (R,).

    Precision peaks at true positives, so only these are evaluated.

    Args:
        image: (N,) image of each detection, best first. true, false: (N,) bool.
        weights: (R, images). people: (R,) to be found.
    """
    hits = np.flatnonzero(true)
    if not len(hits):
        return np.where(people > 0, 0.0, np.nan)
    found = weights[:, image[hits]].cumsum(1)
    # false detections, by image, between each hit and the one before it
    wrong = np.flatnonzero(false & (np.arange(len(false)) < hits[-1]))
    between = csr_array(
        (np.ones(len(wrong), np.float32), (np.searchsorted(hits, wrong), image[wrong])),
        shape=(len(hits), weights.shape[1]),
    )
    missed = (between @ weights.T).T.cumsum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(found > 0, found / (found + missed), 0)
        recall = found / people[:, None]
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # the number of recalls 0, .01, ... that each hit is the first to reach
    reached = np.floor(recall * (len(RECALLS) - 1) + 1e-5) + 1
    reached[:, 1:] -= reached[:, :-1].copy()
    return (envelope * reached).sum(1) / len(RECALLS)
