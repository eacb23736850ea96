"""The open body surface: charts, 3-D positions, mirror images and distances."""

from functools import cached_property, lru_cache
from hashlib import sha256

import numpy as np

from .body import OpenBody, body_asset
from .charts import Charts
from .geodesics import GeodesicTable, cached_geodesics
from .parts import FINE_MIRROR, NUM_FINE_PARTS
from .shortest_paths import distance_rows
from .vertex_charts import vertex_iuv


class BodySurface:
    """The surface of the open body, and I, U, V on it.

    All methods take and return numpy arrays; P points have I, U, V of shape (P,).

    Attributes:
        name: "open", as in the metadata of datasets.
        body: the posable body.
        charts: the 24 charts.
    """

    name = "open"

    def __init__(self) -> None:
        asset = body_asset()
        self.body = OpenBody.load()
        self.charts = Charts(
            asset["chart_part"],
            asset["chart_uv"] / 65535.0,
            asset["chart_vertex"],
            asset["chart_faces"],
        )
        self._flip = asset["chart_flip"]

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> "BodySurface":
        """The surface, which is shared within a process."""
        return cls()

    def closest_vertex(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Vertices of the body, int64 (P,), nearest to points in their charts."""
        return self.charts.closest_vertex(i, u, v)

    @cached_property
    def vertex_iuv(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """I (uint8), U and V (float32), each (n,), of every vertex of the body."""
        charts = self.charts
        return vertex_iuv(charts.vertex, charts.part, charts.uv, len(self.body.vertices))

    def points(
        self, i: np.ndarray, u: np.ndarray, v: np.ndarray, vertices: np.ndarray | None = None
    ) -> np.ndarray:
        """Positions (P, 3), metres, of points on the body.

        Args:
            vertices: (V, 3) of a shaped and posed body; None for the mean body in its rest pose.
        """
        vertices = self.body.vertices if vertices is None else vertices
        return self.charts.points(i, u, v, vertices)

    def iuv(self, face: np.ndarray, barycentric: np.ndarray) -> tuple[np.ndarray, ...]:
        """I (int), U and V, each (P,), of triangles (P,) and weights (P, 3) of ``body.faces``."""
        return self.charts.iuv(face, barycentric)

    def mirror(
        self, i: np.ndarray, u: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(I, U, V) after the picture is flipped: the mirror images of the points.

        Exact, and its own inverse. Background (I = 0) stays as it is.
        """
        i = np.asarray(i)
        index = i.astype(np.int64)
        if index.size and not 0 <= index.min() <= index.max() <= NUM_FINE_PARTS:
            raise ValueError(
                f"parts from {index.min()} to {index.max()}; expected 0 to {NUM_FINE_PARTS}"
            )
        u, v = np.asarray(u), np.asarray(v)
        return (
            FINE_MIRROR[index].astype(i.dtype),
            np.where(self._flip[0, index], 1 - u, u),
            np.where(self._flip[1, index], 1 - v, v),
        )

    def geodesic(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Distances on the mean body between vertices, in metres; shapes broadcast.

        The first call on a machine computes all distances, into the cache: some 20 s of one core,
        shared by all cores.
        """
        return self.geodesic_table.distances(a, b)

    @cached_property
    def geodesic_table(self) -> GeodesicTable:
        """Distances between all pairs of vertices; see :meth:`geodesic`."""
        body = self.body
        key = sha256(body.vertices.tobytes() + body.faces.tobytes()).hexdigest()[:16]
        return cached_geodesics(
            self.name,
            key,
            len(body.vertices),
            lambda: distance_rows(body.vertices, body.faces, body.vertex_mirror),
        )
