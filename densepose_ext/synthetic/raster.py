"""A z-buffer in numpy: which triangle is seen at each pixel, where on it, and how far away.

Everything known about a picture of people comes from these buffers: labels, masks and points are
read off the same pixels as the colours.

Camera coordinates: x to the right, y down, z forward, metres. Pixel centres are at +0.5.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

#: Triangles with a corner nearer than this are not drawn, metres.
NEAR = 0.05
#: Candidate pixels handled at once; bounds the memory at about 100 bytes each.
CHUNK = 400_000


@dataclass
class Buffers:
    """What a camera sees of one mesh.

    Attributes:
        face: (H, W) int32 index of the triangle, -1 where there is none.
        barycentric: (H, W, 3) float32 weights of its corners, corrected for perspective.
        depth: (H, W) float32 distance along the optical axis, metres; inf where there is none.
    """

    face: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray

    @property
    def hit(self) -> np.ndarray:
        """(H, W) bool: where the mesh is seen."""
        return self.face >= 0


def project(points: np.ndarray, focal: float, size: tuple[int, int]) -> np.ndarray:
    """Pixel coordinates (..., 2) of camera points (..., 3); `size` is (height, width)."""
    depth = np.maximum(points[..., 2:], 1e-6)
    return points[..., :2] / depth * focal + np.array([size[1] / 2, size[0] / 2])


def rasterize(
    points: np.ndarray,
    faces: np.ndarray,
    focal: float,
    size: tuple[int, int],
    two_sided: bool = False,
) -> Buffers:
    """Draw a mesh by perspective projection.

    Args:
        points: (V, 3) camera coordinates.
        faces: (F, 3), counter-clockwise seen from outside; back faces are not drawn unless
            `two_sided`.
        focal: focal length in pixels; the principal point is the image's middle.
        size: (height, width).
    """
    height, width = size
    depth = points[:, 2]
    pixel = project(points, focal, size)
    a, b, c = pixel[faces[:, 0]], pixel[faces[:, 1]], pixel[faces[:, 2]]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    # y points down, so an outside seen counter-clockwise has negative area
    drawn = np.flatnonzero((np.abs(area) if two_sided else -area) > 1e-9)
    a, b, c = a[drawn], b[drawn], c[drawn]
    # minimum() of three arrays: numpy reduces an axis of three many times slower
    low = np.minimum(np.minimum(a, b), c)
    high = np.maximum(np.maximum(a, b), c)
    # pixel x is touched when low <= x + 0.5 <= high
    first = np.maximum(np.ceil(low - 0.5), 0)
    last = np.minimum(np.floor(high - 0.5), [width - 1, height - 1])
    in_frame = (last[:, 0] >= first[:, 0]) & (last[:, 1] >= first[:, 1])
    ahead = (depth > NEAR)[faces[drawn]]
    kept = in_frame & ahead[:, 0] & ahead[:, 1] & ahead[:, 2]
    drawn, first = drawn[kept], first[kept].astype(np.int64)
    extent = (last[kept] - first + 1).astype(np.int64)

    seen = np.full(height * width, -1, np.int32)
    nearest = np.full(height * width, np.inf)
    count = extent[:, 0] * extent[:, 1]
    for start, stop in _chunks(count):
        index = drawn[start:stop]
        pixels, owner, z = _inside(
            pixel[faces[index]],
            1 / depth[faces[index]],
            area[index],
            first[start:stop],
            extent[start:stop],
            width,
        )
        closest = np.full_like(nearest, np.inf)
        np.minimum.at(closest, pixels, z)
        wins = (z == closest[pixels]) & (z < nearest[pixels])
        seen[pixels[wins]] = index[owner[wins]]
        nearest[pixels[wins]] = z[wins]

    hit = np.flatnonzero(seen >= 0)
    barycentric = np.zeros((height * width, 3), np.float32)
    barycentric[hit] = _barycentric(
        pixel[faces[seen[hit]]], 1 / depth[faces[seen[hit]]], area[seen[hit]], hit, width
    )
    return Buffers(
        seen.reshape(size),
        barycentric.reshape(height, width, 3),
        nearest.astype(np.float32).reshape(size),
    )


def _chunks(count: np.ndarray):
    """Ranges of triangles whose candidate pixels add up to about `CHUNK`."""
    group = np.cumsum(count) // CHUNK
    bounds = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
    return pairwise(bounds)


def _edge(p, q, x, y):
    """Twice the signed area of (p, q, (x, y)): positive on one side of the line, 0 on it."""
    return (p[..., 0] - x) * (q[..., 1] - y) - (p[..., 1] - y) * (q[..., 0] - x)


def _inside(corner, inverse_depth, area, first, extent, width):
    """Pixels inside the given triangles: flat pixel index, triangle and depth of each."""
    count = extent[:, 0] * extent[:, 1]
    owner = np.repeat(np.arange(len(count)), count)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    columns = extent[owner, 0]
    row = offset // columns
    x = first[owner, 0] + offset - row * columns
    y = first[owner, 1] + row
    px, py = x + 0.5, y + 0.5
    inverse = 1 / area
    w0 = _edge(corner[owner, 1], corner[owner, 2], px, py) * inverse[owner]
    w1 = _edge(corner[owner, 2], corner[owner, 0], px, py) * inverse[owner]
    keep = (w0 >= 0) & (w1 >= 0) & (w0 + w1 <= 1)
    owner, w0, w1 = owner[keep], w0[keep], w1[keep]
    d = inverse_depth[owner]
    z = 1 / (w0 * d[:, 0] + w1 * d[:, 1] + (1 - w0 - w1) * d[:, 2])
    return y[keep] * width + x[keep], owner, z


def _barycentric(corner, inverse_depth, area, pixels, width):
    """Perspective-correct weights (n, 3) of flat pixel indices in their triangles."""
    px, py = pixels % width + 0.5, pixels // width + 0.5
    w0 = _edge(corner[:, 1], corner[:, 2], px, py) / area
    w1 = _edge(corner[:, 2], corner[:, 0], px, py) / area
    weight = np.stack([w0, w1, 1 - w0 - w1], 1) * inverse_depth
    return weight / weight.sum(1, keepdims=True)
