"""Samples training points from dense targets.

They are drawn anew each time an image is seen, so training covers every pixel in the long run.
Flips, crops, rotations and losses treat them like annotated points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..structures import DensePoseAnnotation
from ..surface.parts import ANNOTATION_SIDE, FINE_TO_COARSE

#: How annotators share out a person's points (DensePose, CVPR 2018, section 2.1): at most 14 for
#: each coarse part, and fewer on one that hardly shows, here one for 8 pixels.
_POINTS_A_PART, _PIXELS_A_POINT = 14, 8


def draw_points(iuv: np.ndarray, bbox: Sequence[float], count: int) -> DensePoseAnnotation | None:
    """Points of a person, drawn from the body's pixels with numpy's global generator.

    Parts get shares as in sparse annotation, which scores are computed on: drawn from all pixels
    alike, points would lie on torso and legs, and hands hardly be trained.

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
    parts = FINE_TO_COARSE[iuv.reshape(-1, 3)[on_body, 0]]
    pixels = np.bincount(parts)
    weights = np.minimum(pixels / _PIXELS_A_POINT, _POINTS_A_PART) / np.maximum(pixels, 1)
    reached = weights[parts].cumsum()
    chosen = np.searchsorted(reached, np.random.random(count) * reached[-1], side="right")
    drawn = on_body[np.minimum(chosen, len(on_body) - 1)]
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
