"""The open body as a mesh of the catalogue: the same vertices, symmetry and distances."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .geodesic_matrix import GeodesicMatrix, cached_matrix_of
from .surface import BodySurface
from .vertex_charts import atlas_coordinates


class OpenMesh:
    """See :class:`~densepose_ext.surface.meshes.Mesh`. Nothing of it is downloaded."""

    name = "open"
    #: The surface with charts of the same body.
    surface = "open"

    def __init__(self) -> None:
        self._surface = BodySurface.load()
        body = self._surface.body
        self.num_vertices = len(body.vertices)
        self.vertices = body.vertices
        self.faces = body.faces
        self.symmetry = body.vertex_mirror

    @cached_property
    def texture_coordinates(self) -> np.ndarray:
        """(n, 2) float32: u and v of each vertex in the texture atlas of the charts."""
        return atlas_coordinates(*self._surface.vertex_iuv)

    def geodesic(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Distances in metres; see :meth:`BodySurface.geodesic`."""
        return self._surface.geodesic(a, b)

    def geodesic_rows(self, vertices: np.ndarray) -> np.ndarray:
        """Distances (P, n) in metres, float32, from vertices (P,) to all vertices.

        The first call on a machine writes the matrix of all distances (620 MB) into the cache.
        """
        return self._matrix.rows(vertices)

    @cached_property
    def _matrix(self) -> GeodesicMatrix:
        return cached_matrix_of(self.name, self._surface.geodesic_table)
