"""Draws vertices over a picture: neighbours on the body have like colours.

The official project colours a mesh by one number a vertex, in the colour map jet: for most meshes
x + y + z of the vertex, scaled to 0..1 and squared.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from ..structures import Person
from ..surface.meshes import get_mesh
from .colormaps import colormap
from .compose import check_alpha, check_picture, stacked


@cache
def vertex_colours(mesh: str) -> np.ndarray:
    """(n, 3) uint8 RGB of the vertices of a mesh."""
    total = get_mesh(mesh).vertices.sum(1)
    share = (total - total.min()) / max(np.ptp(total), 1e-12)
    return colormap("jet")[np.rint(share**2 * 255).astype(np.int64)]


def draw_vertices(picture: np.ndarray, people: Sequence[Person], alpha: float = 0.7) -> np.ndarray:
    """Draws the vertices of people of a CSE model in their colours.

    Args:
        picture: (H, W, 3) uint8 BGR.
        people: each with a ``VertexResult``.
        alpha: opacity, 0 to 1.
    """
    check_picture(picture)
    check_alpha(alpha)
    drawn = picture.copy()
    for n, inside, labels in stacked(people, picture.shape[:2]):
        result = people[n].result
        vertices = result.vertices.numpy()[inside.of_labels]
        colour = np.ascontiguousarray(vertex_colours(result.mesh)[vertices][..., ::-1])
        if alpha < 1:
            beneath = drawn[inside.of_picture]
            colour = cv2.addWeighted(beneath, 1 - alpha, colour, alpha, 0)
        cv2.copyTo(colour, np.ascontiguousarray(labels[inside.of_labels]), drawn[inside.of_picture])
    return drawn
