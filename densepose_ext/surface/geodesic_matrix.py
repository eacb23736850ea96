"""Geodesic distances from a few vertices to all others: a square matrix on disk, read row by row.

The soft embedding loss wants whole rows, which the triangle of :mod:`geodesics` holds in n pieces.
The cache file is a numpy array of n x n float32 (3 GB for the 27,554 vertices of ``smpl_27554``);
only the rows asked for are read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ..files.cache import build_once
from .geodesics import GeodesicTable

#: Part of the name of every cache file; changes with the format of the file.
FORMAT_VERSION = 1

#: Rows of a triangle that are made square at once.
_BLOCK = 512


class GeodesicMatrix:
    """Distances in metres between n vertices.

    Attributes:
        num_vertices: n.
        path: the file.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens a cache file.

        Raises:
            ValueError: it is another file, or truncated.
        """
        self.path = Path(path)
        try:
            matrix = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"{self.path} is not a matrix of geodesics: {error}") from error
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype != np.float32:
            raise ValueError(
                f"{self.path} is not a matrix of geodesics: {matrix.dtype} of shape"
                f" {matrix.shape}; delete it to have it built again"
            )
        self.num_vertices = len(matrix)
        self._matrix = matrix
        self._offset = matrix.offset

    def rows(self, vertices: np.ndarray) -> np.ndarray:
        """Distances (P, n) from vertices (P,) to all vertices, float32.

        Raises:
            IndexError: a vertex is outside [0, n).
        """
        vertices = self._checked(vertices)
        distinct, place = np.unique(vertices, return_inverse=True)
        found = np.empty((len(distinct), self.num_vertices), np.float32)
        size = 4 * self.num_vertices
        # Read, not mapped: the pages of a mapping would count as memory of the process.
        with open(self.path, "rb", buffering=0) as stream:
            for row, vertex in zip(found, distinct.tolist()):
                stream.seek(self._offset + vertex * size)
                stream.readinto(row)
        return found if len(distinct) == len(vertices) else found[place]

    def distances(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Distances from vertices ``a`` to vertices ``b``, float32; shapes broadcast."""
        return np.asarray(self._matrix[self._checked(a), self._checked(b)])

    def _checked(self, vertices: np.ndarray) -> np.ndarray:
        vertices = np.asarray(vertices).astype(np.int64)
        if vertices.size and not 0 <= vertices.min() <= vertices.max() < self.num_vertices:
            raise IndexError(
                f"vertices from {vertices.min()} to {vertices.max()}; the mesh has vertices"
                f" 0 to {self.num_vertices - 1}"
            )
        return vertices

    def __reduce__(self):
        return GeodesicMatrix, (self.path,)


def cached_matrix(
    name: str, key: str, num_vertices: int, values: Callable[[], Iterable[np.ndarray]]
) -> GeodesicMatrix:
    """The matrix of a mesh from the cache, built the first time.

    Args:
        name: of the mesh, for the file's name.
        key: of the content that the distances come from (``cache.content_key``).
        num_vertices: n.
        values: gives the n * n distances in metres, row by row, in arrays of any length.

    Raises:
        ValueError: there are more or fewer of them, or one is negative or NaN.
    """

    def build(path: Path) -> None:
        matrix = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float32, shape=(num_vertices, num_vertices)
        )
        try:
            _fill(matrix.reshape(-1), name, values())
            matrix.flush()
        finally:
            del matrix  # Windows neither renames nor removes a file that is mapped

    return GeodesicMatrix(build_once(f"geodesic-matrix-v{FORMAT_VERSION}-{name}-{key}.npy", build))


def _fill(flat: np.ndarray, name: str, values: Iterable[np.ndarray]) -> None:
    total, filled = flat.size, 0
    try:
        for chunk in values:
            chunk = np.asarray(chunk).reshape(-1)
            if chunk.size and not chunk.min() >= 0:
                raise ValueError(
                    f"geodesics of {name}: one is {chunk.min()}, expected metres of at least 0"
                )
            filled += chunk.size
            if filled > total:
                break
            flat[filled - chunk.size : filled] = chunk
    finally:
        del flat
    if filled != total:
        side = math.isqrt(total)
        raise ValueError(f"geodesics of {name}: {filled} distances, expected {side} x {side}")


def cached_matrix_of(name: str, table: GeodesicTable) -> GeodesicMatrix:
    """The matrix of a table that holds a triangle, from the cache, built the first time."""
    return cached_matrix(name, table.path.stem, table.num_vertices, lambda: _square(table))


def _square(table: GeodesicTable) -> Iterator[np.ndarray]:
    """Blocks of rows of the whole matrix."""
    n = table.num_vertices
    triangle = np.load(table.path, mmap_mode="r")
    everyone = np.arange(n)
    for first in range(0, n, _BLOCK):
        last = min(first + _BLOCK, n)
        rows = np.arange(first, last)[:, None]
        high, low = np.maximum(rows, everyone), np.minimum(rows, everyone)
        block = triangle[np.where(high == low, 0, high * (high - 1) // 2 + low)]
        block[high == low] = 0
        yield block
