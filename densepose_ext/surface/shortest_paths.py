"""Geodesic distances of a triangle mesh by Dijkstra's algorithm on an enriched graph.

Paths along edges alone are about 4% too long. The graph therefore also has straight lines across
one or two edges, where the crossed triangles, unfolded into a plane, contain them. The remaining
excess is nearly constant and is divided out (``path_search.EXCESS``); it was measured on the open
body against exact distances (Mitchell, Mount and Papadimitriou 1987).
"""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from ..processes.cores import number_of_cores
from .path_search import distances_from, searched_in_processes

#: Sources per call of Dijkstra's algorithm; each takes a row of doubles.
BLOCK = 64
#: Meshes with fewer vertices are done before other processes have started.
LARGE = 4000
#: More processes would wait for the one that writes what they find.
MOST_PROCESSES = 8


def _half_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, end and opposite corner of the half-edges (3F,) each."""
    start = faces.ravel()
    return start, np.roll(faces, -1, 1).ravel(), np.roll(faces, -2, 1).ravel()


def _unfold(a, b, length_a, length_b, edge):
    """Plane coordinates of a point at given distances from (0, 0) and (edge, 0), with y > 0."""
    x = (length_a**2 - length_b**2 + edge**2) / (2 * edge)
    return np.stack([x, np.sqrt(np.maximum(length_a**2 - x**2, 0))], -1)


def path_graph(vertices: np.ndarray, faces: np.ndarray) -> sp.csr_array:
    """Symmetric graph (V, V) of edges and of straight lines across one or two edges, metres."""
    num = len(vertices)
    start, end, tip = _half_edges(faces)
    code = start * num + end
    order = np.argsort(code)
    position = np.searchsorted(code[order], end * num + start)
    position = np.minimum(position, len(code) - 1)
    twin = order[position]
    paired = code[twin] == end * num + start

    def distance(p, q):
        return np.linalg.norm(vertices[p] - vertices[q], axis=1)

    rows, cols, lengths = [start], [end], [distance(start, end)]
    # Across one edge: from the tip of a triangle to that of its neighbour, both unfolded with
    # the shared edge on the x axis.
    h = np.flatnonzero(paired)
    a, b, near, far = start[h], end[h], tip[h], tip[twin[h]]
    edge = distance(a, b)
    p = _unfold(a, b, distance(a, near), distance(b, near), edge) * [1, -1]
    q = _unfold(a, b, distance(a, far), distance(b, far), edge)
    crossing = p[:, 0] + (q[:, 0] - p[:, 0]) * (-p[:, 1]) / np.maximum(q[:, 1] - p[:, 1], 1e-12)
    ok = (crossing >= 0) & (crossing <= edge)
    rows.append(near[ok])
    cols.append(far[ok])
    lengths.append(np.linalg.norm(q - p, axis=1)[ok])

    # Across two edges: on through either other edge of the neighbour, (a, far) or (far, b).
    half = np.arange(3 * len(faces)).reshape(-1, 3)
    following = half[:, [1, 2, 0]].ravel()  # next half-edge in the triangle
    zero, along = np.zeros_like(q), np.stack([edge, np.zeros_like(edge)], 1)
    for step, left, right in ((1, zero, q), (2, q, along)):
        g = following[twin[h]] if step == 1 else following[following[twin[h]]]
        on = paired[g]
        other = tip[twin[g]]
        # the twin of h runs b -> a, then a -> far, far -> b
        u, v = (a, far) if step == 1 else (far, b)
        side = np.linalg.norm(right - left, axis=1)
        local = _unfold(u, v, distance(u, other), distance(v, other), side)
        x_axis = (right - left) / side[:, None]
        outward = np.stack([-x_axis[:, 1], x_axis[:, 0]], 1)
        r = left + local[:, :1] * x_axis + local[:, 1:] * outward
        straight = r - p
        rise = np.maximum(straight[:, 1], 1e-12)
        crossing = p[:, 0] + straight[:, 0] * (-p[:, 1]) / rise
        ok = on & (straight[:, 1] > 1e-12) & (crossing >= 0) & (crossing <= edge)
        ok &= _cross(straight, left - p) >= 0
        ok &= _cross(straight, right - p) <= 0
        rows.append(near[ok])
        cols.append(other[ok])
        lengths.append(np.linalg.norm(straight, axis=1)[ok])

    row, col, length = (np.concatenate(x) for x in (rows, cols, lengths))
    keep = row != col
    row, col, length = row[keep], col[keep], length[keep]
    low, high = np.minimum(row, col), np.maximum(row, col)
    order = np.lexsort((length, low * num + high))
    code = (low * num + high)[order]
    first = order[np.flatnonzero(np.diff(code, prepend=-1))]
    graph = sp.coo_array((length[first], (low[first], high[first])), shape=(num, num))
    return sp.csr_array(graph + graph.T)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def distance_rows(
    vertices: np.ndarray, faces: np.ndarray, mirror: np.ndarray, processes: int | None = None
) -> Iterator[np.ndarray]:
    """Rows of the lower triangle of all distances, metres, to build a ``GeodesicTable``.

    Args:
        vertices, faces: a mesh that is its own mirror image.
        mirror: (V,) mirror image of each vertex. Paths from one are those from the other,
            mirrored, so only half of the vertices are sources.
        processes: how many search for paths, 1: this one alone; None: one a core for large meshes.

    Yields, for vertex i = 0, 1, ..., the float32 distances (i,) to the vertices before it.
    """
    graph = path_graph(vertices, faces)
    everyone = np.arange(len(vertices))
    blocks = np.split(everyone, range(BLOCK, len(vertices), BLOCK))
    # of two mirror images in a block, one source is enough
    sources = [block[mirror[block] >= block] for block in blocks]
    if processes is None:
        processes = min(number_of_cores(), MOST_PROCESSES) if len(vertices) >= LARGE else 1
    if processes > 1:
        found = searched_in_processes(graph, sources, processes)
    else:
        found = (distances_from(graph, some).astype(np.float32) for some in sources)
    waiting: dict[int, np.ndarray] = {}  # rows of mirror images, until their turn
    for block, some, rows in zip(blocks, sources, found):
        for source, row in zip(some, rows):
            image = mirror[source]
            if image > source:
                waiting[image] = row[mirror[:image]]
            waiting[source] = row[:source]
        for vertex in block:
            yield waiting.pop(vertex)
