"""Geodesic point similarity of predicted vertices of meshes.

D detections, G people, P annotated points of all people together.
"""

from __future__ import annotations

import numpy as np

from ..surface.mesh_charts import mesh_charts
from ..surface.meshes import get_mesh
from .detections import Detections
from .gps import PAPER_KAPPA, Kappa, point_kappa
from .people import AnnotatedPerson
from .scoring import ImageScorer, PointPredictions


class VertexScorer(ImageScorer):
    """Scores images on the meshes that people are annotated on.

    The tolerance of a point is that of its part if it is known, or else the paper's.
    """

    def __init__(self, has_gps: bool = True, kappa: Kappa = "per-part"):
        """
        Args:
            has_gps: False: no GPS (it is 0, and errors are nan).
            kappa: "per-part", or one tolerance in metres.
        """
        super().__init__(None, kappa)
        self.has_gps = has_gps

    def _reading(self, people: list[AnnotatedPerson], detections: Detections) -> VertexReading:
        return VertexReading(people, detections, self.has_gps)

    def _tolerance(self, parts: np.ndarray) -> np.ndarray:
        of_unknown_parts = PAPER_KAPPA if self._kappa == "per-part" else float(self._kappa)
        return np.where(parts > 0, point_kappa(parts, self._kappa), of_unknown_parts)


class VertexReading:
    """Vertices of detections at the people's points, and their errors."""

    def __init__(self, people: list[AnnotatedPerson], detections: Detections, measure: bool):
        self._detections = detections
        self._measure = measure
        self._true = _joined([person.vertex for person in people])
        self._mesh = np.repeat([person.mesh or "" for person in people], [len(p.x) for p in people])
        shape = len(detections), len(self._true)
        self._parts = np.zeros(shape, np.uint8)
        self._errors = np.full(shape, np.inf if measure else np.nan)

    def read(self, n: int, inside: np.ndarray, px: np.ndarray, py: np.ndarray) -> None:
        """Reads detection ``n`` at points that are inside of it.

        Args:
            inside: (P,) bool. px, py: pixels of those inside.
        """
        columns = np.flatnonzero(inside)
        for mesh in np.unique(self._mesh[columns]):
            chosen = self._mesh[columns] == mesh
            number = self._detections.order[n]
            found = self._detections.maps.vertices_at(number, px[chosen], py[chosen], str(mesh))
            seen = found >= 0
            where, found = columns[chosen][seen], found[seen]
            if not len(where):
                continue
            charts = mesh_charts(str(mesh))
            self._parts[n, where] = 1 if charts is None else charts[0][found]
            if self._measure:
                self._errors[n, where] = get_mesh(str(mesh)).geodesic(self._true[where], found)

    def predictions(self, person: np.ndarray) -> PointPredictions:
        """
        Args:
            person: (P,) of each point.
        """
        return PointPredictions(self._parts, self._errors, person)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
