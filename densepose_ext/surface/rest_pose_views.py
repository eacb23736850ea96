"""The mean open body in its rest pose, from the front and from the back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .body import OpenBody, vertex_normals
from .raster import Buffers, rasterize

#: Distance of the camera, metres; large, so that both views have one scale.
DISTANCE = 40.0


def rest_pose_views(size: tuple[int, int], scale: float) -> Iterator[tuple[Buffers, np.ndarray]]:
    """Yields what is seen of the body from the front, then from the back.

    Args:
        size: (height, width) of a view, pixels; the middle of the body is in its centre.
        scale: pixels per metre.

    Yields:
        the buffers, and for their n visible pixels, row by row, the cosine (n,) of the angle
        between the surface's normal and the direction to the camera, 0 to 1.
    """
    body = OpenBody.load()
    middle = (body.vertices.max(0) + body.vertices.min(0)) / 2
    x, y, z = (body.vertices - middle).T
    for side in (1, -1):
        # camera: x to the right, y down, z forward; body: x to its left, -y to its front, z up
        points = np.stack([side * x, -z, side * y + DISTANCE], 1)
        seen = rasterize(points, body.faces, scale * DISTANCE, size)
        corners, weights = body.faces[seen.face[seen.hit]], seen.barycentric[seen.hit]
        normals = (vertex_normals(points, body.faces)[corners] * weights[..., None]).sum(1)
        yield seen, np.clip(-normals[:, 2] / np.linalg.norm(normals, axis=1), 0, 1)
