"""Geodesic point similarity: how near the predicted surface points lie to the true ones.

GPS of a detection and a person (Güler et al., CVPR 2018, section 2.2): the mean over the annotated
points of exp(-g² / 2 kappa²), g the geodesic distance in metres on the body between the true and
the predicted surface point. GPSm = sqrt(GPS x mask IoU) also asks for the right silhouette.

Everything here is plain functions on arrays. D detections, P points.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..surface.parts import FINE_TO_GROUP, GROUP_KAPPA
from ..surface.registry import Surface

#: Tolerance for all points in the paper, in metres.
PAPER_KAPPA = 0.255

Kappa = Literal["per-part"] | float


def point_kappa(parts: np.ndarray, kappa: Kappa = "per-part") -> np.ndarray:
    """Tolerance of each true point in metres, by its part or the same for all. Shape (P,)."""
    if kappa == "per-part":
        return GROUP_KAPPA[FINE_TO_GROUP[parts]]
    if isinstance(kappa, str) or not 0 < kappa < np.inf:
        raise ValueError(f"kappa is {kappa!r}; expected 'per-part' or a length in metres over 0")
    return np.full(len(parts), float(kappa))


def pixel_in_box(
    x: np.ndarray, y: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixel of each detection's map that lies at each annotated point.

    As in the official evaluation, the offset from the box is truncated toward zero, so that a point
    up to a pixel outside on the left or top counts as inside, and the width and height of the box
    are truncated to whole pixels.

    Args:
        x, y: points in image coordinates. Shape (P,).
        boxes: detections, xywh. Shape (D, 4).

    Returns:
        px, py: int64, shape (D, P). inside: bool, shape (D, P).
    """
    px = np.trunc(x[None] - boxes[:, 0, None]).astype(np.int64)
    py = np.trunc(y[None] - boxes[:, 1, None]).astype(np.int64)
    size = boxes[:, 2:].astype(np.int64)
    inside = (px >= 0) & (px < size[:, 0, None]) & (py >= 0) & (py < size[:, 1, None])
    return px, py, inside


def geodesic_errors(surface: Surface, true_vertices: np.ndarray, iuv: np.ndarray) -> np.ndarray:
    """Distance in metres from each true point to the predicted one; infinite on background.

    Args:
        surface: of the annotations.
        true_vertices: the vertex nearest to each true point. Shape (P,).
        iuv: predicted I, U * 255, V * 255. uint8, shape (3, P).

    Returns:
        float64, shape (P,).
    """
    errors = np.full(len(true_vertices), np.inf)
    body = iuv[0] > 0
    if body.any():
        i, u, v = iuv[:, body]
        predicted = surface.closest_vertex(i.astype(np.int64), u / 255.0, v / 255.0)
        errors[body] = surface.geodesic(true_vertices[body], predicted)
    return errors


def point_similarity(errors: np.ndarray, kappa: np.ndarray | float) -> np.ndarray:
    """exp(-g² / 2 kappa²) of each point, 0 for an infinite distance. Shapes broadcast."""
    return np.exp(-(errors**2) / (2 * kappa**2))


def mean_by_person(similarity: np.ndarray, person: np.ndarray, num_people: int) -> np.ndarray:
    """GPS of each pair: the mean of the similarities of each person's points, 0 without points.

    Args:
        similarity: shape (D, P).
        person: the person, 0..num_people - 1, of each point, in rising order. Shape (P,).

    Returns:
        shape (D, num_people).
    """
    counts = np.bincount(person, minlength=num_people)
    means = np.zeros((len(similarity), num_people))
    some = counts > 0
    if some.any():
        starts = (np.cumsum(counts) - counts)[some]
        means[:, some] = np.add.reduceat(similarity, starts, axis=1) / counts[some]
    return means


def masked_similarity(gps: np.ndarray, mask_iou: np.ndarray) -> np.ndarray:
    """GPSm: the geometric mean of GPS and mask IoU. Shapes broadcast."""
    return np.sqrt(gps * mask_iou)
