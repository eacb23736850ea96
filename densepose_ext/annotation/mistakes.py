"""Points of a person that are likely to be wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Neighbours in the picture that say where a point is to be expected.
NEIGHBOURS = 6
#: A point is marked if it lies this many times the usual distance from where it is expected ...
USUAL_TIMES = 3.5
#: ... and at least this far, metres.
LEAST = 0.04


@dataclass(frozen=True)
class Suspicion:
    """Why a point may be wrong.

    Attributes:
        point: number of the point.
        distance: from where it is expected, metres, in a straight line on the body at rest.
        reason: "neighbours" or "model".
    """

    point: int
    distance: float
    reason: str


def far_from_neighbours(
    numbers: np.ndarray, pixels: np.ndarray, places: np.ndarray
) -> list[Suspicion]:
    """Points of one region that lie elsewhere on the body than their neighbours let expect.

    What is near in the picture is near on the body: an affine map from the picture to the body is
    fitted to the neighbours of each point, which has no part in it.

    Args:
        numbers: (P,) of the points. pixels: (P, 2) of the picture. places: (P, 3), metres.
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
        # slopes are held back: they would carry one neighbour's mistake to all the others
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
    """Points that a model puts elsewhere.

    Args:
        numbers: (P,). places: (P, 3) metres. predicted: (P, 3), nan where it sees no body.
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
