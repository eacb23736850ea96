"""The pixels of a person as points on the open body."""

from __future__ import annotations

import numpy as np

from ..structures import Person
from ..surface.surface import BodySurface
from ..visualization.compose import check_picture, overlap_of


def seen_points(picture: np.ndarray, person: Person) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a person's pixels on the mean open body in its rest pose.

    Args:
        picture: (H, W, 3) uint8 BGR.
        person: in the picture.

    Returns:
        positions (P, 3) in metres, in the body's axes (z up, front at -y), and colours (P, 3) uint8
        BGR, row by row of the picture.

    Raises:
        ValueError: the picture has another shape or type.
    """
    check_picture(picture)
    where = overlap_of(person, picture.shape[:2])
    if where is None:
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    labels = person.result.labels.numpy()[where.of_labels]
    shown = labels > 0
    u, v = (np.clip(x[where.of_labels][shown], 0, 1) for x in person.result.chart_uv.numpy())
    places = BodySurface.load().points(labels[shown], u, v)
    return places, picture[where.of_picture][shown]
