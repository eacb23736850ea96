"""What a study keeps of a test: scores, and values of AP on resampled images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..evaluation.intervals import (
    NUM_RESAMPLES,
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
    """Everything that tables and plots of a study are made of, fit for JSON.

    Returns:
        "metrics", of each mode, 0-1; "resampled", GPS AP and mean GPS of people in each resample of
        the pictures; "parts", the tables over points; "confusions", see :func:`confusions`;
        "strata", see :func:`by_stratum`.
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
    """Mean GPS of people, 0 for those not found, in each resample of the pictures. (R,)."""
    images = card.points()
    sums, counts = np.array([[one.gps.sum(), len(one.gps)] for one in images]).T
    weights = resample_counts(len(images), NUM_RESAMPLES, seed=0)
    return (weights @ sums) / np.maximum(weights @ counts, 1)


def confusions(table: np.ndarray) -> dict[str, float]:
    """How points of the people found are told, in shares of all.

    Args:
        table: (24, 25), points by true (from 1 on) and predicted part.

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
    """GPS AP among the people of each stratum: the others are neither found nor missed.

    Returns:
        kind of strata -> stratum -> people, AP (-1 without people), and its 95% interval.
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
