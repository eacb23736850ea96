"""Flicker and error of the surface predicted on a moving person, given ground truth.

Distances are Euclidean, between points of the body in its rest pose, in metres.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from densepose_ext.structures import Person
from densepose_ext.surface.surface import BodySurface

#: Ground-truth points of two frames are taken for the same below this distance.
SAME_PLACE = 0.01


def errors(truth: Person, predicted: Person) -> np.ndarray:
    """Distances (P,) between predicted and true points, at pixels that have both.

    Raises:
        ValueError: the two have different boxes.
    """
    on = _both(truth, predicted)
    return np.linalg.norm(_places(truth, on) - _places(predicted, on), axis=-1)


def flicker(truths: tuple[Person, Person], predictions: tuple[Person, Person]) -> np.ndarray:
    """Distances (P,) between the predictions of two frames for the same points of the body.

    Args:
        truths: one person in two frames.
        predictions: the same person, with the same boxes.

    Raises:
        ValueError: truth and prediction have different boxes.
    """
    masks = [_both(*pair) for pair in zip(truths, predictions)]
    true = [_places(truth, on) for truth, on in zip(truths, masks)]
    if not (len(true[0]) and len(true[1])):
        return np.zeros(0)
    distance, first = cKDTree(true[0]).query(true[1])
    same = distance < SAME_PLACE
    before, now = (_places(person, on) for person, on in zip(predictions, masks))
    return np.linalg.norm(before[first[same]] - now[same], axis=-1)


def _both(truth: Person, predicted: Person) -> np.ndarray:
    shapes = [person.result.labels.shape for person in (truth, predicted)]
    if shapes[0] != shapes[1] or truth.corner != predicted.corner:
        raise ValueError(
            f"truth of {shapes[0]} at {truth.corner}, prediction of {shapes[1]} at "
            f"{predicted.corner}; expected the same box"
        )
    return ((truth.result.labels > 0) & (predicted.result.labels > 0)).numpy()


def _places(person: Person, on: np.ndarray) -> np.ndarray:
    u, v = person.result.chart_uv.numpy()[:, on].clip(0, 1)
    return BodySurface.load().points(person.result.labels.numpy()[on], u, v)
