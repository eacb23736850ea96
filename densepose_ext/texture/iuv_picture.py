"""People from a picture of I, U and V, as a file of 8 bits holds it."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from ..structures import DensePoseResult, Person
from ..surface.parts import NUM_FINE_PARTS

#: Connected pixels fewer than this are no person of their own.
SMALLEST_PERSON = 64


def people_of_iuv(iuv: np.ndarray, instances: np.ndarray | None = None) -> list[Person]:
    """The people of a picture whose channels are I, U * 255 and V * 255.

    Args:
        iuv: (H, W, 3) uint8, in this order of channels.
        instances: (H, W) integers, the person of each pixel, 0 for nobody; without it people are
            the connected regions of I > 0 with at least 64 pixels.

    Returns:
        A person each, the largest first; scores are shares of the largest one's area.

    Raises:
        ValueError: for arrays of other shapes or types, or parts above 24.
    """
    if iuv.ndim != 3 or iuv.shape[2] != 3 or iuv.dtype != np.uint8:
        raise ValueError(f"shape {iuv.shape}, {iuv.dtype}; expected (H, W, 3) uint8 of I, U, V")
    parts = np.ascontiguousarray(iuv[:, :, 0])
    if parts.max(initial=0) > NUM_FINE_PARTS:
        raise ValueError(
            f"part {parts.max()} in the first channel; expected 0 to {NUM_FINE_PARTS} "
            "(perhaps the channels are in the opposite order)"
        )
    smallest = 1
    if instances is None:
        _, instances = cv2.connectedComponents((parts > 0).view(np.uint8))
        smallest = SMALLEST_PERSON
    elif instances.shape != parts.shape or instances.dtype.kind not in "iu":
        raise ValueError(
            f"instances of shape {instances.shape}, {instances.dtype}; "
            f"expected integers of shape {parts.shape}"
        )
    areas, people = [], []
    for number in np.unique(instances[instances > 0]):
        mask = (instances == number) & (parts > 0)
        area = int(mask.sum())
        if area < smallest:
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        own = mask[y0:y1, x0:x1]
        # 8-bit values are truncated ones: the middle of what they stand for
        uv = np.minimum((iuv[y0:y1, x0:x1, 1:] + np.float32(0.5)) / 255, 1) * own[..., None]
        result = DensePoseResult(
            torch.from_numpy(parts[y0:y1, x0:x1] * own),
            torch.from_numpy(np.ascontiguousarray(uv.transpose(2, 0, 1))),
        )
        areas.append(area)
        people.append(Person(np.array([x0, y0, x1, y1], np.float32), 1.0, result))
    for person, area in zip(people, areas):
        person.score = area / max(areas)
    return sorted(people, key=lambda person: -person.score)
