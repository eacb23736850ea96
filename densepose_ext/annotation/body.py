"""The body that points are placed on: triangles, where they are, and their I, U, V."""

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
    """A body to click on.

    Attributes:
        surface: that I, U, V refer to.
        mesh: name of the mesh that vertices are of, for ``ref_model``.
        charts: its charts; their triangles are the body's.
        places: (V, 3) positions that ``charts.vertex`` refers to: metres, x to the person's left,
            -y to the front, z up.
        mesh_places: (n, 3) positions of the mesh's vertices.
    """

    surface: Surface
    mesh: str
    charts: Charts
    places: np.ndarray
    mesh_places: np.ndarray

    @cached_property
    def faces(self) -> np.ndarray:
        """(F, 3) triangles of ``places``."""
        return self.charts.vertex[self.charts.faces]

    @cached_property
    def face_region(self) -> np.ndarray:
        """(F,) region 1..14 of each triangle."""
        return FINE_TO_COARSE[self.charts.face_part]

    def points(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Positions (P, 3), metres, of surface points."""
        return self.charts.points(i, u, v, self.places)

    def vertex(self, places: np.ndarray) -> np.ndarray:
        """Vertices (P,) of the mesh nearest to positions (P, 3)."""
        return self._tree.query(places)[1]

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.mesh_places)


def get_body(surface: str | os.PathLike) -> Body:
    """The body of a surface.

    Args:
        surface: "open", "smpl", or a folder of the official files; for those
            ``UV_Processed.mat`` and the mesh ``smpl_27554`` are needed.

    Raises:
        FileNotFoundError: an official file is missing; the message names it.
        ValueError: there is no such surface, or none that can be drawn.
    """
    found = get_surface(surface)
    if isinstance(found, BodySurface):
        places = found.body.vertices
        return Body(found, "open", found.charts, places, places)
    if found.name != "smpl":
        raise ValueError(f"the surface {surface} cannot be drawn, expected open, or official files")
    return _official_body(found)


def _official_body(surface) -> Body:
    from ..surface.meshes import get_mesh
    from ..surface.official_charts import CHARTS_FILE, OfficialCharts

    charts = OfficialCharts(surface.file(CHARTS_FILE)).charts
    mesh = get_mesh("smpl_27554")
    # The mesh subdivides SMPL's triangles, and keeps SMPL's vertices as its first. SMPL has y up
    # and z to the front.
    if charts.vertex.max() >= mesh.num_vertices:
        raise ValueError(
            f"the mesh {mesh.name} has {mesh.num_vertices} vertices, {CHARTS_FILE} refers to"
            f" {charts.vertex.max() + 1}"
        )
    x, y, z = mesh.vertices.T
    places = np.stack([x, -z, y], 1)
    return Body(surface, mesh.name, charts, places[: charts.vertex.max() + 1], places)
