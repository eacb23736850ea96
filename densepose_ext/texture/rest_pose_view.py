"""The open body from the front and the back, painted with an atlas."""

from __future__ import annotations

import cv2
import numpy as np

from ..surface.body import vertex_normals
from ..surface.raster import rasterize
from ..surface.surface import BodySurface
from .atlas import Atlas, positions

#: Distance of the camera, metres; large, against perspective distortion.
DISTANCE = 12.0
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
    centred = vertices - (low + high) / 2
    views = []
    for side in (1, -1):
        # camera axes: x to the right, y down, z forward
        turned = np.stack([side * centred[:, 0], -centred[:, 2], side * centred[:, 1]], 1)
        views.append(_draw(turned, atlas, scale, size))
    drawn = np.concatenate(views, 1)
    drawn = cv2.resize(
        drawn, None, fx=1 / OVERSAMPLING, fy=1 / OVERSAMPLING, interpolation=cv2.INTER_AREA
    )
    return np.rint(drawn).astype(np.uint8)


def _draw(points: np.ndarray, atlas: Atlas, scale: float, size: tuple[int, int]) -> np.ndarray:
    """One view (H, W, 3) float32 of the body, from camera-space vertices (V, 3)."""
    surface = BodySurface.load()
    faces = surface.body.faces
    drawn = rasterize(points + [0, 0, DISTANCE], faces, scale * DISTANCE, size)
    face, weight = drawn.face[drawn.hit], drawn.barycentric[drawn.hit]
    normals = (vertex_normals(points, faces)[faces[face]] * weight[..., None]).sum(1)
    facing = np.clip(-normals[:, 2] / np.linalg.norm(normals, axis=1), 0, 1)[:, None]
    x, y = (p[None] for p in positions(*surface.iuv(face, weight), atlas.tile))
    colour = _sampled(atlas.premultiplied, x, y).astype(np.float32)
    alpha = np.ones((len(face), 1), np.float32)
    if atlas.alpha is not None:
        alpha = _sampled(atlas.alpha, x, y)[:, None] / np.float32(255)
    picture = np.full((*size, 3), GROUND, np.float32)
    # the colours already contain the picture's light; a little more shows the shape
    picture[drawn.hit] = colour * (0.75 + 0.25 * facing) + (1 - alpha) * CLAY * (
        0.35 + 0.65 * facing
    )
    return picture


def _sampled(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values at positions (1, n), in chunks: OpenCV takes at most 32767 in a row."""
    chunk = 32000
    parts = [
        cv2.remap(values, x[:, k : k + chunk], y[:, k : k + chunk], cv2.INTER_LINEAR)[0]
        for k in range(0, x.shape[1], chunk)
    ]
    return np.concatenate(parts)
