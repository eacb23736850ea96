"""Simulated annotators, who know the truth and make errors of human size, for studies.

They use the project's store as the page does: each answer is a click on a view of the region.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from ..surface.body import vertex_normals
from ..surface.parts import FINE_TO_GROUP
from ..synthetic.annotators import MEAN_ERROR
from .store import Store, Who
from .views import Views

#: Number of vertices at about the sampled distance, from which the sampled direction chooses one.
CANDIDATES = 12
#: Error at the border of a region, relative to the mean: joints are visual cues, and errors grow
#: with the distance from them.
AT_BORDER = 0.5


class SimulatedAnnotator:
    """An annotator whose errors have the sizes that the paper measured (figure 4).

    The geodesic distance from the true to the clicked point is half-normal. Its mean depends on
    the point's group of parts (``synthetic.annotators.MEAN_ERROR``), and grows with the distance
    from the border of the region.
    """

    def __init__(self, views: Views, rng: np.random.Generator, who: Who, scale: float = 1.0):
        """
        Args:
            scale: factor of all errors; with 0, only rounding to pixels is left.
        """
        self.who = who
        self._views, self._rng, self._scale = views, rng, scale
        body = views.body
        self._normals = vertex_normals(body.places, body.faces)
        self._region = lru_cache(maxsize=None)(self._region_of)

    def place_points(
        self, store: Store, person: int, truth: Callable[[float, float], tuple[int, float, float]]
    ) -> None:
        """Places all points of a person in the stage "points".

        Args:
            truth: maps a pixel of the image to its true I, U, V; I = 0 for background.
        """
        for number, (x, y, region) in enumerate(store.project.people[person].points):
            part, u, v = truth(x, y)
            click = self.click(region, part, u, v) if part else None
            if click is None:
                store.cannot_tell(person, number, self.who)
            else:
                store.place(person, number, *click, self.who)
        store.finish_points(person, self.who)

    def click(self, region: int, part: int, u: float, v: float) -> tuple[int, float, float] | None:
        """The view and the pixel that the annotator clicks on; None if no view shows the point.

        Args:
            region: 1..14; answers stay within it. part, u, v: the true I, U, V.
        """
        body = self._views.body
        place = body.points(*(np.array([value]) for value in (part, u, v)))[0]
        members, border = self._region(region)
        cue = AT_BORDER + (1 - AT_BORDER) * border[np.argmin(
            np.linalg.norm(body.places[members] - place, axis=1)
        )]  # fmt: skip
        mean = self._scale * cue * MEAN_ERROR[FINE_TO_GROUP[part]]
        if mean > 0:
            place = self._mistaken(
                members, place, abs(self._rng.normal()) * mean * np.sqrt(np.pi / 2)
            )
        nearest = int(members[np.argmin(np.linalg.norm(body.places[members] - place, axis=1))])
        return self._view_of(region, place, self._normals[nearest])

    def _mistaken(self, members: np.ndarray, place: np.ndarray, distance: float) -> np.ndarray:
        """A position at a geodesic distance from a place, in a random direction."""
        body = self._views.body
        start = members[np.argmin(np.linalg.norm(body.places[members] - place, axis=1))]
        away = body.surface.geodesic(np.full(len(members), start), members)
        ring = np.argsort(np.abs(away - distance))[:CANDIDATES]
        direction = self._rng.normal(size=3)
        offset = body.places[members[ring]] - place
        offset /= np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-9)
        return body.places[members[ring[np.argmax(offset @ direction)]]]

    def _view_of(self, region: int, place: np.ndarray, normal: np.ndarray):
        """The view that faces a place most directly, and the pixel there."""
        views = self._views.of(region)
        for number in np.argsort([view.rotation[2] @ normal for view in views]):
            pixels, seen = views[number].project(place[None])
            found = self._views.click(region, int(number), *pixels[0]) if seen[0] else None
            if found is not None:
                return int(number), float(pixels[0, 0]), float(pixels[0, 1])
        return None

    def _region_of(self, region: int) -> tuple[np.ndarray, np.ndarray]:
        """Vertices of a region, and their distances from its border, divided by the mean."""
        body = self._views.body
        inside = body.face_region == region
        members, others = np.unique(body.faces[inside]), np.unique(body.faces[~inside])
        border = body.places[np.intersect1d(members, others)]
        away = cKDTree(border).query(body.places[members])[0]
        return members, away / away.mean()
