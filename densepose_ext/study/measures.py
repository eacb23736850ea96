"""The results of a test that a study keeps: scores, and their values on resampled images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..evaluation.intervals import (
    percentile_interval,
    resample_counts,
    resampled,
)
from ..evaluation.matching import match_dataset, summarize
from ..evaluation.pointwise import PointMeasures
from ..evaluation.scorecard import Scorecard
from ..surface.parts import FINE_MIRROR, FINE_TO_COARSE, NUM_FINE_PARTS
from .strata import strata


def measures(card: Scorecard) -> dict:
    """The numbers behind a study's tables and plots, as JSON.

    Returns:
        "metrics", 0-1, by mode; "resampled", GPS AP and mean GPS per resample of the images;
        "parts", the tables over points; "confusions", see :func:`confusions`; "strata", see
        :func:`by_stratum`.
    """
    tables = PointMeasures(card.points(), card.has_gps).tables()
    matches = list(card.matches()["gps"].values())
    return {
        "metrics": card.metrics(),
        "resampled": {
            "AP": np.nan_to_num(resampled(matches, card.thresholds)["AP"]).tolist(),
            "mean_gps": _resampled_gps(card).tolist(),
        },
        "parts": {key: value for key, value in tables.items() if key != "confusion"},
        "confusions": confusions(np.array(tables["confusion"])),
        "strata": by_stratum(card),
    }


def _resampled_gps(card: Scorecard) -> np.ndarray:
    """(R,) mean GPS of all people, 0 for missed ones, in each of R resamples of the images."""
    images = card.points()
    sums, counts = np.array([[one.gps.sum(), len(one.gps)] for one in images]).T
    weights = resample_counts(len(images))
    return (weights @ sums) / np.maximum(weights @ counts, 1)


def confusions(table: np.ndarray) -> dict[str, float]:
    """How the points of detected people are classified, as shares of all points.

    Args:
        table: (24, 25) counts by true part (from 1) and predicted part (from 0).

    Returns:
        "right"; "left and right exchanged", the mirror part; "front and back exchanged", the same
        coarse part; "another part"; "background".
    """
    true, predicted = np.indices(table.shape)
    true += 1
    same_limb = FINE_TO_COARSE[true] == FINE_TO_COARSE[predicted]
    mirrored = (predicted == FINE_MIRROR[true]) & (predicted != true)
    kinds = {
        "right": predicted == true,
        "left and right exchanged": mirrored,
        "front and back exchanged": same_limb & (predicted != true) & ~mirrored,
    }
    background = predicted == 0
    kinds["another part"] = ~np.any([*kinds.values(), background], axis=0)
    kinds["background"] = background
    total = max(int(table.sum()), 1)
    assert table.shape == (NUM_FINE_PARTS, NUM_FINE_PARTS + 1)
    return {name: float(table[where].sum() / total) for name, where in kinds.items()}


def by_stratum(card: Scorecard) -> dict[str, dict[str, dict]]:
    """GPS AP on the people of each stratum; all others are ignored.

    Returns:
        kind -> stratum -> "people", "AP" (-1 without people), and "interval" (95%).
    """
    images = card.images()
    table: dict[str, dict[str, dict]] = {}
    for kind, of_kind in strata(card).items():
        table[kind] = {}
        for name, members in of_kind.items():
            chosen = [
                replace(image, has_points=image.has_points & inside)
                for image, inside in zip(images, members)
            ]
            table[kind][name] = _precision(card, chosen)
    return table


def _precision(card: Scorecard, images: list) -> dict:
    matches = match_dataset(images, "gps", card.thresholds)
    row = {"people": int(sum(image.has_points.sum() for image in images)), "AP": -1.0}
    if row["people"]:
        row["AP"] = summarize([matches], card.thresholds)["AP"]
        values = resampled([matches], card.thresholds)["AP"]
        row["interval"] = percentile_interval(values[~np.isnan(values)])
    return row
