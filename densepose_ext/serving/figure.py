"""The mesh of the open body, on which the page shows surface points."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..surface.body import vertex_normals
from ..surface.parts import FINE_PART_NAMES
from ..surface.surface import BodySurface
from ..visualization.colormaps import colormap
from ..visualization.palette import part_colours


@cache
def body_file() -> bytes:
    """The mesh, cut along the seams of the charts, in a little-endian binary format.

    Two uint32: the numbers of vertices M and triangles F; then (M, 3) float32 positions (metres, x
    to the person's left, -y to the front, z up), (M, 3) float32 normals, (M, 2) float32 U, V,
    (F, 3) uint16 triangles, (M,) uint8 parts.
    """
    surface = BodySurface.load()
    body, charts = surface.body, surface.charts
    positions = body.vertices - (body.vertices.max(0) + body.vertices.min(0)) / 2
    normals = vertex_normals(body.vertices, body.faces)
    blocks = [
        np.array([len(charts.vertex), len(charts.faces)], "<u4"),
        positions[charts.vertex].astype("<f4"),
        normals[charts.vertex].astype("<f4"),
        charts.uv.astype("<f4"),
        charts.faces.astype("<u2"),
        charts.part.astype("u1"),
    ]
    return b"".join(np.ascontiguousarray(block).tobytes() for block in blocks)


def colours() -> dict:
    """Names and colours of the parts by I, and the colours of U and V, as JSON."""
    return {
        "parts": list(FINE_PART_NAMES),
        "part_colours": part_colours().tolist(),
        "uv_colours": colormap("viridis").tolist(),
    }
