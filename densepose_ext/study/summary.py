"""Rows of a study: means over seeds, and intervals over images and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluation.intervals import percentile_interval
from .outcome import Outcome

#: Columns of the table: heading, and where the value (0-1, or -1 or None for none) stands.
COLUMNS = {
    "GPS AP": ("metrics", "gps", "AP"),
    "GPS AP50": ("metrics", "gps", "AP50"),
    "GPSm AP": ("metrics", "gpsm", "AP"),
    "mean GPS": ("parts", "mean_gps"),
    "right part": ("parts", "right_part"),
    "within 10 cm": ("parts", "within_10cm"),
    "AUC10": ("parts", "curve", "auc10"),
    "AUC30": ("parts", "curve", "auc30"),
}


@dataclass
class Row:
    """A run over its seeds, in percent.

    Attributes:
        values: by column, means over seeds; None where there is nothing.
        interval: 95% of GPS AP. difference: GPS AP over the study's first run, paired by image and
            seed. difference_interval: 95% of it; None for the first run itself.
        by_group: share of points within 10 cm by body group, mean over seeds.
    """

    run: str
    seeds: list[int]
    values: dict[str, float | None]
    interval: tuple[float, float]
    difference: float
    difference_interval: tuple[float, float] | None
    by_group: dict[str, float | None]


def summarize(outcomes: Sequence[Outcome]) -> list[Row]:
    """A row for each run, in the order of first appearance.

    Intervals are of resampled images (the same for all runs) and, with several seeds, of drawn
    seeds. Runs of one seed see the same batches: differences are paired by seed.
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
    values = {
        column: _mean([_value(own[seed].measures, keys) for seed in seeds])
        for column, keys in COLUMNS.items()
    }
    interval = _interval(np.stack([_resampled(own[seed]) for seed in seeds]))
    shared = [seed for seed in seeds if seed in first]
    difference, difference_interval = 0.0, None
    if own is not first and shared:
        keys = COLUMNS["GPS AP"]
        difference = float(
            np.mean(
                [_value(own[s].measures, keys) - _value(first[s].measures, keys) for s in shared]
            )
        )
        paired = np.stack([_resampled(own[s]) - _resampled(first[s]) for s in shared])
        difference_interval = _interval(paired)
    groups = own[seeds[0]].measures["parts"]["by_group"]
    by_group = {
        group: _mean(
            [_value(own[s].measures, ("parts", "by_group", group, "within_10cm")) for s in seeds]
        )
        for group in groups
    }
    return Row(name, seeds, values, interval, 100 * difference, difference_interval, by_group)


def _resampled(outcome: Outcome) -> np.ndarray:
    """GPS AP of each resample (R,); zeros where nobody was found."""
    values = outcome.measures["resampled"].get("gps")
    return np.zeros(1) if values is None else np.array(values)


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Of values (seeds, R), in percent: each resample of images is a mean over drawn seeds."""
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
