"""Writes point clouds and textured bodies.

Files have y up and the front at +z, as most programs expect; arrays are in the body's axes.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..files.atomic import write_whole
from ..surface.body import vertex_normals
from ..surface.surface import BodySurface
from .atlas import COLUMNS, ROWS, Atlas, positions


def y_up(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, 3) from the body's axes (z up, front at -y) to y up, front at +z."""
    return np.stack([vectors[:, 0], vectors[:, 2], -vectors[:, 1]], 1)


def write_ply(path: str | os.PathLike, places: np.ndarray, colours: np.ndarray) -> None:
    """Writes coloured points as binary PLY.

    Args:
        places: positions (P, 3) in the body's axes.
        colours: (P, 3) uint8 BGR.

    Raises:
        OSError: the file cannot be written.
    """
    kinds = dict.fromkeys("xyz", "<f4") | dict.fromkeys(("red", "green", "blue"), "u1")
    points = np.empty(len(places), list(kinds.items()))
    for name, values in zip("xyz", y_up(places).T):
        points[name] = values
    for name, values in zip(("blue", "green", "red"), colours.T):
        points[name] = values
    properties = [
        f"property {'uchar' if kind == 'u1' else 'float'} {name}" for name, kind in kinds.items()
    ]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header = "\n".join([*header, *properties, "end_header", ""])
    write_whole(Path(path), header.encode("ascii") + points.tobytes())


def write_obj(
    path: str | os.PathLike, atlas: Atlas, vertices: np.ndarray | None = None
) -> list[Path]:
    """Writes the open body with a texture, as OBJ, MTL and PNG of one name.

    Args:
        path: of the OBJ.
        atlas: the texture; it should be complete (``fill_atlas``).
        vertices: (V, 3) of a shaped and posed body; None for the mean body in its rest pose.

    Returns:
        the three files.

    Raises:
        OSError: a file cannot be written.
    """
    path = Path(path)
    material, texture = path.with_suffix(".mtl"), path.with_suffix(".png")
    surface, tile = BodySurface.load(), atlas.tile
    body, charts = surface.body, surface.charts
    vertices = body.vertices if vertices is None else vertices
    x, y = positions(charts.part, charts.uv[:, 0], charts.uv[:, 1], tile)
    # texture coordinates start at the lower left corner and end at 1
    place = np.stack([(x + 0.5) / (COLUMNS * tile), 1 - (y + 0.5) / (ROWS * tile)], 1)
    normals = vertex_normals(vertices, body.faces)
    corner, vertex = charts.faces + 1, charts.vertex[charts.faces] + 1
    faces = np.stack([vertex, corner, vertex], -1).reshape(len(corner), 9)
    lines = [
        f"mtllib {material.name}",
        *_lines("v %.5f %.5f %.5f", y_up(vertices)),
        *_lines("vt %.6f %.6f", place),
        *_lines("vn %.4f %.4f %.4f", y_up(normals)),
        "usemtl surface",
        *_lines("f %d/%d/%d %d/%d/%d %d/%d/%d", faces),
        "",
    ]
    write_whole(path, "\n".join(lines).encode())
    colours = "Ka 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1"
    write_whole(material, f"newmtl surface\n{colours}\nmap_Kd {texture.name}\n".encode())
    atlas.write(texture)
    return [path, material, texture]


def _lines(form: str, values: np.ndarray) -> list[str]:
    return [form % tuple(row) for row in values.tolist()]
