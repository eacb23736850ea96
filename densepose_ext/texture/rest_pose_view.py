"""The open body from the front and the back, painted with an atlas."""

from __future__ import annotations

import cv2
import numpy as np

from ..surface.raster import Buffers
from ..surface.rest_pose_views import rest_pose_views
from ..surface.surface import BodySurface
from .atlas import Atlas, positions

#: Empty border around the body, metres.
BORDER = 0.06
#: Supersampling factor, for smooth edges.
OVERSAMPLING = 2
#: Grey of unseen texels, and of the background.
CLAY, GROUND = 190.0, 255.0


def draw_template(atlas: Atlas, height: int = 640) -> np.ndarray:
    """The mean body in its rest pose, front and back; grey where the atlas is transparent.

    Args:
        atlas: an ``Extraction``'s shows only what was seen.
        height: of the drawing, pixels.

    Returns:
        (height, W, 3) uint8 BGR.
    """
    vertices = BodySurface.load().body.vertices
    low, high = vertices.min(0) - BORDER, vertices.max(0) + BORDER
    scale = OVERSAMPLING * height / (high[2] - low[2])
    size = (
        OVERSAMPLING * height,
        OVERSAMPLING * round(height * np.ptp([low[0], high[0]]) / np.ptp([low[2], high[2]])),
    )
    views = [_painted(seen, facing, atlas) for seen, facing in rest_pose_views(size, scale)]
    drawn = np.concatenate(views, 1)
    drawn = cv2.resize(
        drawn, None, fx=1 / OVERSAMPLING, fy=1 / OVERSAMPLING, interpolation=cv2.INTER_AREA
    )
    return np.rint(drawn).astype(np.uint8)


def _painted(seen: Buffers, facing: np.ndarray, atlas: Atlas) -> np.ndarray:
    """One view (H, W, 3) float32 of the body."""
    hit = seen.hit
    iuv = BodySurface.load().iuv(seen.face[hit], seen.barycentric[hit])
    x, y = (p[None] for p in positions(*iuv, atlas.tile))
    colour = _sampled(atlas.premultiplied, x, y).astype(np.float32)
    alpha = np.ones((len(colour), 1), np.float32)
    if atlas.alpha is not None:
        alpha = _sampled(atlas.alpha, x, y)[:, None] / np.float32(255)
    picture = np.full((*hit.shape, 3), GROUND, np.float32)
    facing = facing[:, None]
    # the colours already contain the picture's light; a little more shows the shape
    clay = CLAY * (0.35 + 0.65 * facing)
    picture[hit] = colour * (0.75 + 0.25 * facing) + (1 - alpha) * clay
    return picture


def _sampled(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values at positions (1, n), in chunks: OpenCV takes at most 32767 in a row."""
    chunk = 32000
    parts = [
        cv2.remap(values, x[:, k : k + chunk], y[:, k : k + chunk], cv2.INTER_LINEAR)[0]
        for k in range(0, x.shape[1], chunk)
    ]
    return np.concatenate(parts)
