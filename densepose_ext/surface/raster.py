"""A z-buffer in numpy: the visible triangle at each pixel, the point on it, and its depth.

The ground truth of synthetic images comes from these buffers: labels, masks and points are those of
the same pixels as the colours.

Camera coordinates: x to the right, y down, z forward, metres. Pixel centres are at +0.5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

#: Near plane: triangles with a nearer corner are not drawn, metres.
NEAR = 0.05
#: Candidate pixels per chunk; each takes about 100 bytes.
CHUNK = 400_000


@dataclass
class Buffers:
    """What a camera sees of one mesh.

    Attributes:
        face: (H, W) int32 index of the triangle, -1 where there is none.
        depth: (H, W) float32 distance along the optical axis, metres; inf where there is none.
    """

    face: np.ndarray
    depth: np.ndarray
    _weights: Callable[[np.ndarray], np.ndarray]

    @property
    def hit(self) -> np.ndarray:
        """(H, W) bool: where the mesh is visible."""
        return self.face >= 0

    @cached_property
    def barycentric(self) -> np.ndarray:
        """(H, W, 3) float32 perspective-correct weights of the triangle's corners.

        Computed on first use: shadows do not need them.
        """
        return self._weights(self.face)


def project(points: np.ndarray, focal: float, size: tuple[int, int]) -> np.ndarray:
    """Pixel coordinates (..., 2) of camera points (..., 3); ``size`` is (height, width)."""
    depth = np.maximum(points[..., 2], 1e-6)
    middle = np.array([size[1] / 2, size[0] / 2])
    return np.stack([points[..., k] / depth * focal + middle[k] for k in (0, 1)], -1)


def rasterize(
    points: np.ndarray,
    faces: np.ndarray,
    focal: float,
    size: tuple[int, int],
    two_sided: bool = False,
) -> Buffers:
    """Rasterises a mesh by perspective projection.

    Args:
        points: (V, 3) camera coordinates.
        faces: (F, 3), counter-clockwise seen from outside; back faces are not drawn unless
            ``two_sided``.
        focal: focal length in pixels; the principal point is the centre of the image.
        size: (height, width).
    """
    height, width = size
    depth = points[:, 2]
    pixel = project(points, focal, size)
    # each coordinate as a contiguous array, on which numpy is faster than on the columns of one
    # array
    x, y = np.ascontiguousarray(pixel.T)
    ax, bx, cx = (x[corner] for corner in faces.T)
    ay, by, cy = (y[corner] for corner in faces.T)
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    # y points down, so an outside seen counter-clockwise has negative area
    drawn = np.flatnonzero((np.abs(area) if two_sided else -area) > 1e-9)
    (left, right), (top, bottom) = (
        _touched(*(values[drawn] for values in corners), length)
        for corners, length in (((ax, bx, cx), width), ((ay, by, cy), height))
    )
    kept = np.flatnonzero((right >= left) & (bottom >= top))
    ahead = (depth > NEAR)[faces[drawn[kept]]]
    kept = kept[ahead[:, 0] & ahead[:, 1] & ahead[:, 2]]
    drawn, left, top = drawn[kept], left[kept].astype(np.int64), top[kept].astype(np.int64)
    columns = (right[kept] - left + 1).astype(np.int64)
    rows = (bottom[kept] - top + 1).astype(np.int64)

    inverse_depth = 1 / np.maximum(depth, NEAR)
    seen = np.full(height * width, -1, np.int32)
    nearest = np.full(height * width, np.inf)
    for start, stop in _chunks(columns * rows):
        index, part = drawn[start:stop], slice(start, stop)
        pixels, owner, z = _inside(
            *(corner[index] for corner in (ax, ay, bx, by, cx, cy)),
            inverse_depth[faces[index].T],
            area[index],
            left[part],
            top[part],
            columns[part],
            rows[part],
            width,
        )
        closest = np.full_like(nearest, np.inf)
        np.minimum.at(closest, pixels, z)
        wins = np.flatnonzero((z == closest[pixels]) & (z < nearest[pixels]))
        pixels = pixels[wins]
        seen[pixels] = index[owner[wins]]
        nearest[pixels] = z[wins]

    def weights(face: np.ndarray) -> np.ndarray:
        flat = face.ravel()
        hit = np.flatnonzero(flat >= 0)
        triangle = flat[hit]
        result = np.zeros((height * width, 3), np.float32)
        corners = faces[triangle].T
        places = [(x[corner], y[corner], inverse_depth[corner]) for corner in corners]
        result[hit] = _barycentric(*places, area[triangle], hit, width)
        return result.reshape(height, width, 3)

    return Buffers(seen.reshape(size), nearest.astype(np.float32).reshape(size), weights)


def _touched(a, b, c, length: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last pixel whose centres lie between three values, within 0 to ``length`` - 1."""
    # minimum() of three arrays: reducing an axis of length three is many times slower
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    # pixel x is touched when low <= x + 0.5 <= high
    return np.maximum(np.ceil(low - 0.5), 0), np.minimum(np.floor(high - 0.5), length - 1)


def _chunks(count: np.ndarray):
    """Ranges of triangles with about ``CHUNK`` candidate pixels each."""
    group = np.cumsum(count) // CHUNK
    bounds = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
    return pairwise(bounds)


def _edge(px, py, qx, qy, x, y):
    """Twice the signed area of (p, q, (x, y)): positive on one side of the line, 0 on it."""
    return (px - x) * (qy - y) - (py - y) * (qx - x)


def _inside(ax, ay, bx, by, cx, cy, inverse_depth, area, left, top, columns, rows, width):
    """Pixels inside the given triangles: flat pixel index, triangle and depth of each."""
    # what depends on the row alone is computed once per row of a triangle
    of_row, row = _spans(top, rows)
    py = row + 0.5
    up_a, up_b, up_c = ay[of_row] - py, by[of_row] - py, cy[of_row] - py
    at, x = _spans(left[of_row], columns[of_row])
    owner = of_row[at]
    px = x + 0.5
    inverse = (1 / area)[owner]
    to_a, to_b, to_c = ax[owner], bx[owner], cx[owner]
    to_a -= px
    to_b -= px
    to_c -= px
    up_a, up_b, up_c = up_a[at], up_b[at], up_c[at]
    # twice the signed areas of (b, c, pixel) and (c, a, pixel), as in `_edge`
    w0 = (to_b * up_c - up_b * to_c) * inverse
    w1 = (to_c * up_a - up_c * to_a) * inverse
    keep = np.flatnonzero((w0 >= 0) & (w1 >= 0) & (w0 + w1 <= 1))
    at, owner, w0, w1 = at[keep], owner[keep], w0[keep], w1[keep]
    da, db, dc = (d[owner] for d in inverse_depth)
    z = 1 / (w0 * da + w1 * db + (1 - w0 - w1) * dc)
    return row[at] * width + x[keep], owner, z


def _spans(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Concatenates n ranges of integers; also returns the range of each."""
    owner = np.repeat(np.arange(len(count)), count)
    return owner, np.arange(len(owner)) + (first + count - np.cumsum(count))[owner]


def _barycentric(a, b, c, area, pixels, width):
    """Perspective-correct weights (n, 3) of flat pixel indices in their triangles.

    Args:
        a, b, c: corners: x, y and inverse depth, each (n,).
    """
    row = pixels // width
    px, py = pixels - row * width + 0.5, row + 0.5
    (ax, ay, da), (bx, by, db), (cx, cy, dc) = a, b, c
    w0 = _edge(bx, by, cx, cy, px, py) / area
    w1 = _edge(cx, cy, ax, ay, px, py) / area
    w0, w1, w2 = w0 * da, w1 * db, (1 - w0 - w1) * dc
    total = w0 + w1 + w2
    return np.stack([w0 / total, w1 / total, w2 / total], 1)
