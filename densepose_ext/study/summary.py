"""Rows of a study: means over seeds, and intervals over images and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluation.intervals import percentile_interval
from .outcome import Outcome

#: Scores with intervals: keys of the value (0-1; -1 or None: undefined), and of its resamples.
SCORES = {
    "GPS AP": (("metrics", "gps", "AP"), "AP"),
    "mean GPS": (("parts", "mean_gps"), "mean_gps"),
}
#: Other columns of the table.
COLUMNS = {
    "GPSm AP": ("metrics", "gpsm", "AP"),
    "right part": ("parts", "right_part"),
    "AUC10": ("parts", "curve", "auc10"),
    "AUC30": ("parts", "curve", "auc30"),
}


@dataclass
class Score:
    """A score of a run over its seeds, in percent.

    Attributes:
        value: mean over seeds. interval: its 95% interval.
        difference: from the study's first run, paired by image and seed.
        difference_interval: its 95% interval; None for the first run.
    """

    value: float
    interval: tuple[float, float]
    difference: float
    difference_interval: tuple[float, float] | None


@dataclass
class Row:
    """A run over its seeds, in percent.

    Attributes:
        scores: those of SCORES.
        values: those of COLUMNS, averaged over seeds; None: undefined.
        by_group: share of points within 10 cm by body group, averaged over seeds.
    """

    run: str
    seeds: list[int]
    scores: dict[str, Score]
    values: dict[str, float | None]
    by_group: dict[str, float | None]


def summarize(outcomes: Sequence[Outcome]) -> list[Row]:
    """One row per run, in order of first appearance.

    Intervals are over resampled images (the same for all runs) and, with several seeds, over
    resampled seeds. Differences are paired by seed, since runs with the same seed see the same
    batches.
    """
    runs: dict[str, dict[int, Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault(outcome.run, {})[outcome.seed] = outcome
    if not runs:
        return []
    first = next(iter(runs.values()))
    return [_row(name, own, first) for name, own in runs.items()]


def _row(name: str, own: dict[int, Outcome], first: dict[int, Outcome]) -> Row:
    seeds = sorted(own)
    measures = [own[seed].measures for seed in seeds]
    groups = measures[0]["parts"]["by_group"]
    return Row(
        name,
        seeds,
        {score: _score(own, first, *where) for score, where in SCORES.items()},
        {column: _mean([_value(m, keys) for m in measures]) for column, keys in COLUMNS.items()},
        {
            group: _mean([_value(m, ("parts", "by_group", group, "within_10cm")) for m in measures])
            for group in groups
        },
    )


def _score(
    own: dict[int, Outcome], first: dict[int, Outcome], keys: Sequence[str], resamples: str
) -> Score:
    def values(outcomes: dict[int, Outcome], seeds: Sequence[int]) -> np.ndarray:
        return np.array([_value(outcomes[seed].measures, keys) or 0.0 for seed in seeds])

    def resampled(outcomes: dict[int, Outcome], seeds: Sequence[int]) -> np.ndarray:
        return np.array([outcomes[seed].measures["resampled"][resamples] for seed in seeds])

    seeds = sorted(own)
    score = Score(
        100 * float(values(own, seeds).mean()), _interval(resampled(own, seeds)), 0.0, None
    )
    shared = [seed for seed in seeds if seed in first]
    if own is not first and shared:
        score.difference = 100 * float((values(own, shared) - values(first, shared)).mean())
        score.difference_interval = _interval(resampled(own, shared) - resampled(first, shared))
    return score


def _interval(values: np.ndarray) -> tuple[float, float]:
    """95% interval in percent of values (seeds, R): seeds are resampled for each of R resamples."""
    count, resamples = values.shape
    drawn = np.random.default_rng(0).integers(0, count, (count, resamples))
    low, high = percentile_interval(np.take_along_axis(values, drawn, 0).mean(0))
    return 100 * low, 100 * high


def _value(measures: dict, keys: Sequence[str]) -> float | None:
    found = measures
    for key in keys:
        found = found[key]
    if found is None:
        return None
    return max(float(found), 0.0)


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return 100 * float(np.mean(there)) if there else None
