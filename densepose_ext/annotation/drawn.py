"""What annotators draw: boxes and regions, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..surface.parts import ANNOTATION_SIDE, NUM_COARSE_PARTS
from .project import Picture

#: Minimum side of a box, pixels.
SMALLEST_BOX = 4


def checked_box(box: Sequence[float], picture: Picture) -> list[float]:
    """A box (x, y, width, height, pixels), clipped to its picture.

    Raises:
        ValueError: it is not four finite numbers, or too little of it is in the picture.
    """
    values = np.asarray(box, float)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise ValueError(f"box {list(box)}, expected four finite numbers")
    low = values[:2].clip(0)
    high = np.minimum(values[:2] + values[2:], [picture.width, picture.height])
    if ((high - low) < SMALLEST_BOX).any():
        raise ValueError(
            f"box {list(box)}, expected {SMALLEST_BOX} pixels or more in each direction"
        )
    return [round(float(value), 2) for value in (*low, *(high - low))]


def checked_map(painted: np.ndarray) -> np.ndarray:
    """A map of regions, (256, 256) uint8.

    Raises:
        ValueError: it has another shape or type, or regions above 14.
    """
    painted = np.asarray(painted)
    side = (ANNOTATION_SIDE, ANNOTATION_SIDE)
    if painted.shape != side or painted.dtype != np.uint8 or painted.max() > NUM_COARSE_PARTS:
        raise ValueError(f"regions of shape {painted.shape}, expected {side} with 0 to 14")
    return painted
