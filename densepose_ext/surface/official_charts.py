"""The flip map of the official charts, rebuilt from ``UV_Processed.mat`` alone.

A horizontal flip takes a point of the body to its mirror image. ``UV_Processed.mat`` holds no 3-D
positions, but its mesh is symmetric, and a triangle mesh with labelled parts has at most one
orientation-reversing automorphism that exchanges left and right parts: fixing the image of a single
edge fixes that of the whole mesh. Trying the edges of one left triangle finds it in a second.
"""

import os
from collections import deque
from pathlib import Path

import numpy as np

from .charts import Charts
from .matlab import read_matlab
from .parts import FINE_MIRROR, NUM_FINE_PARTS

CHARTS_FILE = "UV_Processed.mat"
_FIELDS = ("All_Faces", "All_FaceIndices", "All_vertices", "All_U_norm", "All_V_norm")


def mesh_mirror(faces: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The mirror automorphism of a connected labelled mesh (the official one lacks two triangles).

    Args:
        faces: (F, 3) vertices of the body of each triangle, consistently oriented.
        part: (F,) part 1..24 of each triangle.

    Returns:
        (F, 3): for each triangle (a, b, c), the triangle and the corners that a, b, c go to, as
        flat positions in ``faces`` (triangle * 3 + corner).

    Raises:
        ValueError: the mesh is not symmetric, or not connected.
    """
    start, end = faces.ravel(), np.roll(faces, -1, 1).ravel()
    half_edge = {edge: h for h, edge in enumerate(zip(start.tolist(), end.tolist()))}
    if len(half_edge) != len(start):
        raise ValueError("the triangles of the mesh are not consistently oriented")
    twin = np.array([half_edge.get(e, -1) for e in zip(end.tolist(), start.tolist())])
    source = np.flatnonzero(part != FINE_MIRROR[part])
    if not len(source):
        raise ValueError("the mesh has no part with a left and a right")
    first = 3 * int(source[0])
    for goal in np.flatnonzero(np.repeat(part == FINE_MIRROR[part[source[0]]], 3)):
        image = _extend(first, int(goal), twin, part)
        if image is not None:
            # a half-edge maps to one of opposite direction: its start to the other's end
            corner = image // 3 * 3 + (image % 3 + 1) % 3
            return corner.reshape(-1, 3)
    raise ValueError("the mesh has no left/right symmetry that respects its parts")


def _extend(first: int, goal: int, twin: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """Image of every half-edge if ``first`` maps to ``goal``; None if that is contradictory."""
    image = np.full(len(twin), -1)
    todo = deque([(first, goal)])
    twin = twin.tolist()
    label = part.tolist()
    while todo:
        h, g = todo.popleft()
        if image[h] >= 0:
            if image[h] != g:
                return None
            continue
        if FINE_MIRROR[label[h // 3]] != label[g // 3]:
            return None
        for _ in range(3):  # forwards around the triangle, backwards around its image
            if image[h] >= 0 and image[h] != g:
                return None
            image[h] = g
            if (twin[h] < 0) != (twin[g] < 0):
                return None
            if twin[h] >= 0:
                todo.append((twin[h], twin[g]))
            h = h - 2 if h % 3 == 2 else h + 1
            g = g + 2 if g % 3 == 0 else g - 1
    return image if (image >= 0).all() else None


class OfficialCharts:
    """The official charts from ``UV_Processed.mat``: vertices, their positions, flips.

    Attributes:
        charts: the 24 charts; vertices count from 0.
        vertex_mirror: (V,) mirror image of each vertex of the body.
    """

    def __init__(self, path: str | os.PathLike):
        """Reads the file.

        Raises:
            FileNotFoundError: it does not exist.
            ValueError: it is another file, or its mesh is not symmetric.
        """
        path = Path(path)
        faces, part, vertex, u, v = _read(path)
        part_of_vertex = np.zeros(len(vertex), np.int64)
        part_of_vertex[faces] = part[:, None]
        self.charts = Charts(part_of_vertex, np.stack([u, v], 1), vertex, faces)
        body_faces = vertex[faces]
        try:
            corner = mesh_mirror(body_faces, part)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        self._mirror_corner = corner
        self.vertex_mirror = np.full(vertex.max() + 1, -1)
        self.vertex_mirror[body_faces] = body_faces.ravel()[corner]

    def mirror(
        self, i: np.ndarray, u: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(I, U, V) of points (P,) after a horizontal flip; background stays background.

        A point outside its chart is moved to the nearest point of the chart's border.
        """
        i = np.asarray(i)
        out_i, out_u, out_v = i.copy(), np.array(u, float), np.array(v, float)
        on = np.flatnonzero(i > 0)
        if len(on):
            face, weight = self.charts.locate(i[on], out_u[on], out_v[on])
            corner = self._mirror_corner[face]
            uv = (self.charts.uv[self.charts.faces.ravel()[corner]] * weight[..., None]).sum(1)
            out_i[on], out_u[on], out_v[on] = FINE_MIRROR[i[on].astype(int)], uv[:, 0], uv[:, 1]
        return out_i, out_u, out_v

    def flip_tables(self, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
        """U and V after a flip, tabulated as in ``UV_symmetry_transforms.mat``.

        Returns:
            Two arrays (24, size, size), indexed [part - 1, V * (size - 1), U * (size - 1)].
        """
        axis = np.arange(size) / (size - 1)
        part, v, u = np.meshgrid(np.arange(1, NUM_FINE_PARTS + 1), axis, axis, indexing="ij")
        _, flipped_u, flipped_v = self.mirror(part.ravel(), u.ravel(), v.ravel())
        return flipped_u.reshape(part.shape), flipped_v.reshape(part.shape)


def _read(path: Path) -> tuple[np.ndarray, ...]:
    """Faces (F, 3), part of each (F,), vertex, U, V of each chart vertex (M,), counted from 0."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected the official UV_Processed.mat")
    data = read_matlab(path, _FIELDS)
    missing = [name for name in _FIELDS if name not in data]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; expected UV_Processed.mat")
    faces, part, vertex, u, v = (data[name] for name in _FIELDS)
    part, vertex = part.ravel().astype(int), vertex.ravel().astype(int) - 1
    u, v = u.ravel(), v.ravel()
    faces = faces.astype(np.int64) - 1
    if faces.ndim != 2 or faces.shape != (len(part), 3) or not len(vertex) == len(u) == len(v):
        raise ValueError(
            f"{path}: {faces.shape} faces, {len(part)} parts, {len(vertex)} vertices, {len(u)} U, "
            f"{len(v)} V do not fit together"
        )
    if faces.min() < 0 or faces.max() >= len(vertex) or vertex.min() < 0:
        raise ValueError(f"{path}: indices count from 1 and stay within the vertices")
    if not ((part >= 1) & (part <= NUM_FINE_PARTS)).all():
        raise ValueError(f"{path}: All_FaceIndices has values outside 1..{NUM_FINE_PARTS}")
    return faces, part, vertex, u.astype(float), v.astype(float)
