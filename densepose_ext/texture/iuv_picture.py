"""People from an 8-bit picture of I, U and V."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import torch

from ..structures import DensePoseResult, Person
from ..surface.parts import NUM_FINE_PARTS

#: Smaller connected regions are not taken for people, pixels.
SMALLEST_PERSON = 64


def people_of_iuv(iuv: np.ndarray, instances: np.ndarray | None = None) -> list[Person]:
    """The people in a picture with the channels I, U * 255 and V * 255.

    Args:
        iuv: (H, W, 3) uint8, in this order of channels.
        instances: (H, W) integers, the person of each pixel, 0 for nobody; without it people are
            the connected regions of I > 0 with at least 64 pixels.

    Returns:
        people, the largest first; scores are areas relative to the largest one's.

    Raises:
        ValueError: an array has another shape or type, or a part is above 24.
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
        # 8-bit values are truncated: take the middle of their interval
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


def read_instances(path: str | os.PathLike) -> np.ndarray:
    """Reads the number of the person at each pixel, (H, W), from a grey picture of 8 or 16 bits.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a grey picture.
    """
    content = np.frombuffer(Path(path).read_bytes(), np.uint8)
    numbers = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
    if numbers is None or numbers.ndim != 2 or numbers.dtype.kind != "u":
        raise ValueError(f"{path} is not a grey picture, whose values number the people")
    return numbers
