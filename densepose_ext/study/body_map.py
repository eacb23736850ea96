"""Draws values at points of the body as colours, from the front and the back."""

from __future__ import annotations

import numpy as np

from ..files.picture_encoding import encode_picture
from ..surface.rest_pose_views import rest_pose_views
from ..surface.surface import BodySurface
from ..visualization.colormaps import colormap

#: Radius within which points colour a vertex, metres.
NEAR = 0.08
#: Grey of vertices without points nearby.
UNKNOWN = 190


def draw_body_map(places: np.ndarray, values: np.ndarray, top: float, height: int = 640) -> bytes:
    """A PNG of the body in its rest pose, each vertex in the colour of the values near it.

    Args:
        places: (P, 3) positions, metres. values: (P,).
        top: value at the upper end of the colour map, viridis, which starts at 0.
        height: of the PNG, pixels.
    """
    body = BodySurface.load().body
    total, summed = np.zeros(len(body.vertices)), np.zeros(len(body.vertices))
    for place, value in zip(places, values):
        apart = np.linalg.norm(body.vertices - place, axis=1)
        weight = np.exp(-0.5 * (2 * apart / NEAR) ** 2) * (apart < NEAR)
        total += weight
        summed += weight * value
    share = (summed / np.maximum(total, 1e-9) / top).clip(0, 1)
    colours = colormap("viridis").astype(np.float32)[(255 * share).astype(int)]
    colours[total < 0.1] = UNKNOWN
    low, high = body.vertices.min(0), body.vertices.max(0)
    scale = 0.95 * height / (high[2] - low[2])
    width = int(height * 1.05 * (high[0] - low[0]) / (high[2] - low[2]))
    views = []
    for seen, facing in rest_pose_views((height, width), scale):
        corners = body.faces[seen.face[seen.hit]]
        weights = seen.barycentric[seen.hit][..., None]
        view = np.full((height, width, 3), 255, np.float32)
        view[seen.hit] = (colours[corners] * weights).sum(1) * (0.7 + 0.3 * facing[:, None])
        views.append(view)
    picture = np.concatenate(views, 1).clip(0, 255).astype(np.uint8)
    return encode_picture(".png", picture[:, :, ::-1])
