"""The body mesh that points are placed on, with its charts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from ..surface.charts import Charts
from ..surface.parts import FINE_TO_COARSE
from ..surface.registry import Surface, get_surface
from ..surface.surface import BodySurface


@dataclass(frozen=True)
class Body:
    """A body mesh to click on.

    Positions are in metres: x points to the person's left, -y to the front, z up.

    Attributes:
        surface: the surface that I, U, V refer to.
        mesh: name of the mesh that ``dp_vertex`` refers to, written as ``ref_model``.
        charts: charts of the surface; the triangles are theirs.
        places: (V, 3) positions, indexed by ``charts.vertex``.
        mesh_places: (n, 3) positions of the vertices of ``mesh``.
    """

    surface: Surface
    mesh: str
    charts: Charts
    places: np.ndarray
    mesh_places: np.ndarray

    @cached_property
    def faces(self) -> np.ndarray:
        """(F, 3) triangles, as indices into ``places``."""
        return self.charts.vertex[self.charts.faces]

    @cached_property
    def face_region(self) -> np.ndarray:
        """(F,) region of each triangle, 1..14."""
        return FINE_TO_COARSE[self.charts.face_part]

    def points(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(P, 3) positions of surface points."""
        return self.charts.points(i, u, v, self.places)

    def vertex(self, places: np.ndarray) -> np.ndarray:
        """(P,) vertices of the mesh that are nearest to positions (P, 3)."""
        return self._tree.query(places)[1]

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.mesh_places)


def get_body(surface: str | os.PathLike) -> Body:
    """The body of a surface.

    Args:
        surface: "open", "smpl", or a folder of official files. The last two need
            ``UV_Processed.mat`` and the mesh ``smpl_27554``.

    Raises:
        FileNotFoundError: an official file is missing; the message names it.
        ValueError: the surface does not exist, or has no mesh that can be drawn.
    """
    found = get_surface(surface)
    if isinstance(found, BodySurface):
        places = found.body.vertices
        return Body(found, "open", found.charts, places, places)
    if found.name != "smpl":
        raise ValueError(f"the surface {surface} cannot be drawn, expected open or official files")
    return _official_body(found)


def _official_body(surface) -> Body:
    from ..surface.meshes import get_mesh
    from ..surface.official_charts import CHARTS_FILE, OfficialCharts

    charts = OfficialCharts(surface.file(CHARTS_FILE)).charts
    mesh = get_mesh("smpl_27554")
    # The mesh is a subdivision of SMPL whose first vertices are SMPL's own, in which y is up and z
    # points to the front.
    if charts.vertex.max() >= mesh.num_vertices:
        raise ValueError(
            f"the mesh {mesh.name} has {mesh.num_vertices} vertices, but {CHARTS_FILE} refers to"
            f" {charts.vertex.max() + 1}"
        )
    x, y, z = mesh.vertices.T
    places = np.stack([x, -z, y], 1)
    return Body(surface, mesh.name, charts, places[: charts.vertex.max() + 1], places)
