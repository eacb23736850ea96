"""Drawings by the names of the official project's ``apply_net.py show``.

As there, people are drawn over the grey picture, with parts, U and V in parula at an opacity of .7,
and each drawing on top of the previous one. If people overlap, the one with the higher score is on
top, instead of the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from ..structures import VertexResult
from ..texture import Atlas, apply_texture
from ..visualization import (
    draw_boxes,
    draw_contours,
    draw_parts,
    draw_u,
    draw_v,
    draw_vertices,
)
from .people import People

_OPACITY = 0.7
_COLOURS = "parula"

#: Drawings that need only people.
_DRAWINGS: dict[str, Callable[[np.ndarray, People], np.ndarray]] = {
    "dp_segm": lambda picture, people: draw_parts(picture, people, _OPACITY, _COLOURS),
    "dp_u": lambda picture, people: draw_u(picture, people, _OPACITY, _COLOURS),
    "dp_v": lambda picture, people: draw_v(picture, people, _OPACITY, _COLOURS),
    "dp_contour": draw_contours,
    "dp_cse_vertex": draw_vertices,
    "bbox": draw_boxes,
}
_TEXTURE = "dp_iuv_texture"

#: All names.
NAMES = (*_DRAWINGS, _TEXTURE)


def check_names(names: Sequence[str], atlas: Atlas | None) -> None:
    """Checks that these can be drawn.

    Raises:
        ValueError: a name is unknown, or the texture has no atlas.
    """
    for name in names:
        if name not in NAMES:
            raise ValueError(f"visualization {name!r}; expected some of {', '.join(NAMES)}")
    if _TEXTURE in names and atlas is None:
        raise ValueError(f"{_TEXTURE} needs --texture_atlas FILE")


def draw_as_official(
    picture: np.ndarray, people: People, names: Sequence[str], atlas: Atlas | None = None
) -> np.ndarray:
    """Draws people over the grey picture.

    Args:
        picture: (H, W, 3) uint8 BGR.
        names: of NAMES, drawn in this order.
        atlas: for ``dp_iuv_texture``.

    Returns:
        BGR (H, W, 3) uint8.

    Raises:
        ValueError: as of :func:`check_names`, or a drawing of vertices for a chart model, or of
            charts for a mesh that has none.
    """
    check_names(names, atlas)
    drawn = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    uncharted = {p.result.mesh for p in people if p.result.uv is None}
    for name in names:
        if uncharted and name not in ("dp_cse_vertex", "bbox"):
            raise ValueError(f"{name} needs charts, and the mesh {uncharted.pop()} has none")
        if name == _TEXTURE and atlas is not None:
            drawn = apply_texture(drawn, people, atlas)
            continue
        if name == "dp_cse_vertex" and not all(isinstance(p.result, VertexResult) for p in people):
            raise ValueError(f"{name} draws vertices, and the model is one of charts")
        drawn = _DRAWINGS[name](drawn, people)
    return drawn
