"""Between vertices of a mesh and charts of the same body, both ways.

A vertex on the border of charts lies in several: its (I, U, V) is its first place in the charts.
The way back, from (I, U, V) to the nearest vertex, is ``closest_vertex`` of the surface.
"""

from __future__ import annotations

import numpy as np

#: The texture atlas has a tile for each part: part p in row (p - 1) % ROWS, column (p - 1) // ROWS.
ROWS, COLUMNS = 6, 4


def vertex_iuv(
    vertex: np.ndarray, part: np.ndarray, uv: np.ndarray, num_vertices: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(I, U, V) of every vertex of a mesh.

    Args:
        vertex: (M,) vertex of the mesh that each vertex of the charts is.
        part: (M,) 1..24. uv: (M, 2).
        num_vertices: n, of the mesh.

    Returns:
        (n,) uint8 parts, 0 for vertices in no chart; (n,) float32 U and V.
    """
    i = np.zeros(num_vertices, np.uint8)
    u, v = np.zeros((2, num_vertices), np.float32)
    used, first = np.unique(vertex, return_index=True)
    i[used] = part[first]
    u[used], v[used] = uv[first].T
    return i, u, v


def atlas_coordinates(i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Texture coordinates (n, 2) float32 in the atlas of points (I, U, V) of shape (n,).

    The first runs from left to right, the second from top to bottom, both from 0 to 1; those of
    points in no chart are 0.
    """
    tile = np.maximum(i.astype(np.int64) - 1, 0)
    # Within its tile, less what int(x * side) would round into the next one.
    across, down = (np.clip(value, 0, 1 - 1e-4) for value in (u, 1 - v))
    places = np.stack([(tile // ROWS + across) / COLUMNS, (tile % ROWS + down) / ROWS], axis=1)
    return (places * (i > 0)[:, None]).astype(np.float32)
