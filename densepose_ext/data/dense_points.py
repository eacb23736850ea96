"""Samples training points from dense targets.

They are drawn anew each time an image is seen, so training covers every pixel in the long run.
Flips, crops, rotations and losses treat them like annotated points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..structures import DensePoseAnnotation
from ..surface.parts import ANNOTATION_SIDE


def draw_points(iuv: np.ndarray, bbox: Sequence[float], count: int) -> DensePoseAnnotation | None:
    """Points of a person, drawn from the body's pixels with numpy's global generator.

    Args:
        iuv: (h, w, 3) uint8, I, U * 255, V * 255 at each pixel of the box.
        bbox: of the person, XYWH.
        count: number of points; drawn with replacement.

    Returns:
        an annotation without mask; None if no pixel belongs to the body.
    """
    on_body = np.flatnonzero(iuv[:, :, 0])
    if len(on_body) == 0:
        return None
    drawn = on_body[np.random.randint(len(on_body), size=count)]
    rows, columns = np.divmod(drawn, iuv.shape[1])
    left, top, width, height = bbox
    i, u, v = iuv[rows, columns].T

    def relative(pixels: np.ndarray, start: float, length: float) -> torch.Tensor:
        place = (pixels + int(start) + 0.5 - start) * (ANNOTATION_SIDE / length)
        return torch.from_numpy(place.clip(0, ANNOTATION_SIDE).astype(np.float32))

    return DensePoseAnnotation(
        relative(columns, left, width),
        relative(rows, top, height),
        torch.from_numpy(i.astype(np.int64)),
        torch.from_numpy(u.astype(np.float32) / 255),
        torch.from_numpy(v.astype(np.float32) / 255),
    )
