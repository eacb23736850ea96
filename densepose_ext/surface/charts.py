"""Charts: a triangle mesh cut into the parts of DensePose and flattened.

Shape letters: P points, F triangles, M chart vertices (a vertex of the body has one for each chart,
and each side of a seam, that it is on).
"""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from .parts import NUM_FINE_PARTS

#: Side of the grid that finds the triangle at a point of a chart, cells.
GRID = 256
#: Samples along each border edge, for points outside the chart.
BORDER_SAMPLES = 8


class Charts:
    """The map between the surface and (I, U, V).

    Attributes:
        part: (M,) part 1..24 of each chart vertex.
        uv: (M, 2) its coordinates.
        vertex: (M,) the vertex of the body that it is.
        faces: (F, 3) triangles of chart vertices.
        face_part: (F,) part of each triangle.
    """

    def __init__(self, part: np.ndarray, uv: np.ndarray, vertex: np.ndarray, faces: np.ndarray):
        self.part = np.asarray(part, np.int64)
        self.uv = np.asarray(uv, np.float64)
        self.vertex = np.asarray(vertex, np.int64)
        self.faces = np.asarray(faces, np.int64)
        self.face_part = self.part[self.faces[:, 0]]
        self._vertex_trees: dict[int, tuple[np.ndarray, cKDTree]] = {}
        self._locators: dict[int, _Locator] = {}

    def closest_vertex(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Vertex of the body (P,) nearest in its chart to points (I, U, V), each (P,).

        Raises:
            ValueError: a part is outside 1..24, or a coordinate not finite.
        """
        i, points = _checked(i, u, v)
        result = np.empty(len(i), np.int64)
        for part, chosen in _by_part(i):
            if part not in self._vertex_trees:
                members = np.flatnonzero(self.part == part)
                self._vertex_trees[part] = members, cKDTree(self.uv[members])
            members, tree = self._vertex_trees[part]
            result[chosen] = self.vertex[members[tree.query(points[chosen])[1]]]
        return result

    def locate(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Triangles (P,) and barycentric weights (P, 3) of points (I, U, V), each (P,).

        A point outside its chart is moved to the nearest point of the chart's border.
        """
        i, points = _checked(i, u, v)
        face = np.empty(len(i), np.int64)
        weight = np.empty((len(i), 3))
        for part, chosen in _by_part(i):
            if part not in self._locators:
                members = np.flatnonzero(self.face_part == part)
                self._locators[part] = _Locator(self.uv, self.faces, members)
            face[chosen], weight[chosen] = self._locators[part](points[chosen])
        return face, weight

    def iuv(self, face: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
        """I (P,) int and U, V (P,) of barycentric weights (P, 3) on triangles (P,)."""
        uv = (self.uv[self.faces[face]] * np.asarray(weight)[..., None]).sum(-2)
        return self.face_part[face], uv[..., 0], uv[..., 1]

    def points(
        self, i: np.ndarray, u: np.ndarray, v: np.ndarray, vertices: np.ndarray
    ) -> np.ndarray:
        """Positions (P, 3) of points (I, U, V) on a body with the given vertices (V, 3)."""
        face, weight = self.locate(i, u, v)
        return (vertices[self.vertex[self.faces[face]]] * weight[..., None]).sum(-2)


def _checked(i: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parts (P,) int64 and coordinates (P, 2) float64."""
    i, u, v = (np.asarray(x) for x in (i, u, v))
    points = np.stack([u, v], -1).astype(np.float64)
    if len(i) and not (i.min() >= 1 and i.max() <= NUM_FINE_PARTS):
        raise ValueError(f"parts from {i.min()} to {i.max()}; expected 1 to {NUM_FINE_PARTS}")
    if not np.isfinite(points).all():
        raise ValueError("U, V of surface points must be finite numbers")
    return i.astype(np.int64), points


def _by_part(i: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields pairs of a part and the indices of its points."""
    order = np.argsort(i, kind="stable")
    bounds = np.searchsorted(i[order], np.arange(1, NUM_FINE_PARTS + 2))
    for part in range(1, NUM_FINE_PARTS + 1):
        chosen = order[bounds[part - 1] : bounds[part]]
        if len(chosen):
            yield part, chosen


class _Locator:
    """Finds the triangle of one chart at a point, by a grid of candidates."""

    def __init__(self, uv: np.ndarray, faces: np.ndarray, members: np.ndarray):
        """
        Args:
            uv: (M, 2). faces: (F, 3), of all charts.
            members: the triangles of this chart.
        """
        self.members, faces = members, faces[members]
        self.corner = uv[faces]  # (F, 3, 2)
        a, b, c = (self.corner[:, k] for k in range(3))
        area = _cross(b - a, c - a)
        area = np.where(np.abs(area) < 1e-18, 1e-18, area)
        # weights are linear in the point: w_k = gradient_k . p + constant_k
        edge = np.roll(self.corner, -2, 1) - np.roll(self.corner, -1, 1)
        self.gradient = np.stack([-edge[..., 1], edge[..., 0]], -1) / area[:, None, None]
        self.constant = -(self.gradient * np.roll(self.corner, -1, 1)).sum(-1)

        low = np.clip((self.corner.min(1) * GRID).astype(np.int64), 0, GRID - 1)
        high = np.clip((self.corner.max(1) * GRID).astype(np.int64), 0, GRID - 1)
        extent = high - low + 1
        count = extent.prod(1)
        owner = np.repeat(np.arange(len(faces)), count)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        row, column = np.divmod(offset, extent[owner, 0])
        cell = (low[owner, 1] + row) * GRID + low[owner, 0] + column
        # drop cells of the bounding box that the triangle does not touch
        middle = np.stack([cell % GRID, cell // GRID], 1) / GRID + 0.5 / GRID
        reach = np.abs(self.gradient[owner]).sum(-1) * (0.5 / GRID)
        keep = ((self._weights(owner, middle) + reach) >= 0).all(1)
        owner, cell = owner[keep], cell[keep]
        order = np.argsort(cell, kind="stable")
        self.candidates = owner[order]
        self.start = np.searchsorted(cell[order], np.arange(GRID * GRID + 1))
        self._make_border(uv, faces)

    def _make_border(self, uv: np.ndarray, faces: np.ndarray) -> None:
        """Samples of the border, for points outside the chart."""
        edges = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
        _, first, count = np.unique(
            np.sort(edges, 1), axis=0, return_index=True, return_counts=True
        )
        border = first[count == 1]
        t = np.linspace(0, 1, BORDER_SAMPLES)
        a, b = uv[edges[border, 0]], uv[edges[border, 1]]
        samples = a[:, None] * (1 - t[:, None]) + b[:, None] * t[:, None]
        weight = np.zeros((len(border), BORDER_SAMPLES, 3))
        corner = border % 3
        weight[np.arange(len(border)), :, corner] = 1 - t
        weight[np.arange(len(border)), :, (corner + 1) % 3] = t
        self.border_tree = cKDTree(samples.reshape(-1, 2))
        self.border_face = np.repeat(border // 3, BORDER_SAMPLES)
        self.border_weight = weight.reshape(-1, 3)

    def _weights(self, face: np.ndarray, points: np.ndarray) -> np.ndarray:
        return np.einsum("pki,pi->pk", self.gradient[face], points) + self.constant[face]

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Triangles (P,), among those of all charts, and weights (P, 3) of points (P, 2)."""
        cell = np.clip((points * GRID).astype(np.int64), 0, GRID - 1)
        cell = cell[:, 1] * GRID + cell[:, 0]
        at, stop = self.start[cell], self.start[cell + 1]
        face = np.full(len(points), -1)
        weight = np.zeros((len(points), 3))
        active = np.flatnonzero(at < stop)
        while len(active):
            candidate = self.candidates[at[active]]
            w = self._weights(candidate, points[active])
            inside = w.min(1) >= -1e-9
            found = active[inside]
            face[found], weight[found] = candidate[inside], w[inside]
            at[active] += 1
            active = active[~inside]
            active = active[at[active] < stop[active]]
        beside = np.flatnonzero(face < 0)
        if len(beside):
            _, nearest = self.border_tree.query(points[beside])
            face[beside], weight[beside] = self.border_face[nearest], self.border_weight[nearest]
        return self.members[face], weight


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
