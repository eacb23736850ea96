"""The part of a person's maps that lies in the picture."""

from __future__ import annotations

import numpy as np

from ..structures import Person


def window_of(
    person: Person, size: tuple[int, int]
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray, np.ndarray] | None:
    """Rows and columns of the picture, and labels (h, w) uint8, U and V (h, w) float32 there.

    Args:
        size: (H, W) of the picture.

    Returns:
        None for a person outside of it.
    """
    labels, uv = person.result.labels.numpy(), person.result.uv.numpy()
    x, y = person.corner
    top, left = max(-y, 0), max(-x, 0)
    bottom, right = min(labels.shape[0], size[0] - y), min(labels.shape[1], size[1] - x)
    if bottom <= top or right <= left:
        return None
    own = slice(top, bottom), slice(left, right)
    place = slice(y + top, y + bottom), slice(x + left, x + right)
    return place, labels[own], uv[0][own], uv[1][own]
