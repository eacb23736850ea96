"""Finds points that are likely to be wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Number of neighbours in the image that predict a point's position on the body.
NEIGHBOURS = 6
#: A point is suspicious if its error exceeds the median error by this factor ...
USUAL_TIMES = 3.5
#: ... and is at least this large, metres.
LEAST = 0.04


@dataclass(frozen=True)
class Suspicion:
    """Why a point may be wrong.

    Attributes:
        point: number of the point.
        distance: straight-line distance from the predicted position on the body, metres.
        reason: "neighbours" or "model".
    """

    point: int
    distance: float
    reason: str


def far_from_neighbours(
    numbers: np.ndarray, pixels: np.ndarray, places: np.ndarray
) -> list[Suspicion]:
    """Points of one region that their neighbours in the image predict elsewhere on the body.

    Each point is predicted by an affine map from the image to the body, fitted to its neighbours
    without the point itself.

    Args:
        numbers: (P,) numbers of the points. pixels: (P, 2) positions in the image.
        places: (P, 3) positions on the body, metres.
    """
    if len(numbers) < NEIGHBOURS:
        return []
    scale = max(float(np.ptp(pixels, axis=0).max()), 1e-6)
    distances = np.empty(len(numbers))
    for n, pixel in enumerate(pixels):
        offset = (pixels - pixel) / scale
        apart = np.linalg.norm(offset, axis=1)
        apart[n] = np.inf
        near = np.argsort(apart)[: NEIGHBOURS - 1]
        design = np.concatenate([np.ones((len(near), 1)), offset[near]], 1)
        # Slopes are damped, or one neighbour's mistake would spread to the others.
        damping = np.diag([1e-6, 0.02, 0.02])
        fitted = np.linalg.solve(design.T @ design + damping, design.T @ places[near])
        distances[n] = min(
            np.linalg.norm(places[n] - fitted[0]),
            np.linalg.norm(places[n] - np.median(places[near], 0)),
        )
    limit = max(LEAST, USUAL_TIMES * float(np.median(distances)))
    return [
        Suspicion(int(number), float(distance), "neighbours")
        for number, distance in zip(numbers, distances)
        if distance > limit
    ]


def far_from_model(
    numbers: np.ndarray, places: np.ndarray, predicted: np.ndarray
) -> list[Suspicion]:
    """Points that a model predicts elsewhere on the body.

    Args:
        numbers: (P,) numbers of the points. places: (P, 3) positions on the body, metres.
        predicted: (P, 3) the model's positions; nan where it predicts background.
    """
    distances = np.linalg.norm(places - predicted, axis=1)
    known = np.isfinite(distances)
    if not known.any():
        return []
    limit = max(0.1, USUAL_TIMES * float(np.median(distances[known])))
    return [
        Suspicion(int(number), float(distance), "model")
        for number, distance in zip(numbers[known], distances[known])
        if distance > limit
    ]
