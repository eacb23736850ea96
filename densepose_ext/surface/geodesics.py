"""Geodesic distances between the vertices of a body surface, on disk.

A table of n vertices holds the lower triangle of the symmetric n x n matrix by rows, as float32 in
metres: the entry of vertices i > j is at i (i - 1) / 2 + j, as in the official
``Pdist_matrix.pkl``. For 27,554 vertices this is 1.5 GB, so it is kept in a memory-mapped cache
file: opening it takes no time, and looking up a thousand distances touches a thousand pages.

    table = cached_geodesics("open", key, n, rows)  # rows() is called only if there is no file
    table.distances([5, 7], [2, 7])  # array of 2 distances in metres
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..files.cache import build_once

#: Part of the name of cache files; raised when their format changes.
FORMAT_VERSION = 1

#: Number of look-ups after which mapped pages are released. The system maps up to 64 KB around an
#: entry, so this bounds the resident memory of a table to about 64 MB.
_LOOKUPS_BETWEEN_RELEASES = 1024


class GeodesicTable:
    """Symmetric distances between n vertices, read from a file on demand.

    Attributes:
        num_vertices: n.
        path: the file.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens a file written by :func:`write_geodesics`.

        Raises:
            FileNotFoundError: it does not exist.
            ValueError: it is another file, or truncated.
        """
        self.path = Path(path)
        with open(self.path, "rb") as stream:
            try:
                np.lib.format.read_magic(stream)
                shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            except ValueError as error:
                raise ValueError(f"{self.path} is not a table of geodesics: {error}") from error
            offset = stream.tell()
            self.num_vertices = vertices_of(shape[0]) if len(shape) == 1 else 0
            size = os.fstat(stream.fileno()).st_size
            if dtype != np.float32 or not self.num_vertices or size != offset + 4 * shape[0]:
                raise ValueError(
                    f"{self.path} is not a table of geodesics: {size} bytes of {dtype} {shape}; "
                    "expected n (n - 1) / 2 values of float32; delete it to have it built again"
                )
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._entries = np.frombuffer(self._map, np.float32, shape[0], offset)
        self._since_release = 0

    def distances(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Distances in metres, float32, of vertices ``i`` and ``j``.

        Args:
            i, j: vertex indices from 0, of any integer type; shapes broadcast.

        Raises:
            TypeError: an index is not an integer.
            IndexError: an index is outside [0, n).
        """
        i, j = np.asarray(i), np.asarray(j)
        for index in (i, j):
            if index.dtype.kind not in "iu" and index.size:
                raise TypeError(f"vertex indices must be integers, not {index.dtype}")
            if index.size and not 0 <= index.min() <= index.max() < self.num_vertices:
                raise IndexError(
                    f"vertex indices from {index.min()} to {index.max()}; "
                    f"the surface has vertices 0 to {self.num_vertices - 1}"
                )
        # i (i - 1) / 2 overflows 16 and 32 bits long before n does
        i, j = np.broadcast_arrays(i.astype(np.int64), j.astype(np.int64))
        high, low = np.maximum(i, j), np.minimum(i, j)
        same = high == low
        distances = self._entries[np.where(same, 0, high * (high - 1) // 2 + low)]
        self._release(distances.size)
        return np.where(same, np.float32(0), distances)

    def _release(self, lookups: int) -> None:
        """Releases mapped pages from time to time; they stay in the system's file cache."""
        self._since_release += lookups
        if self._since_release >= _LOOKUPS_BETWEEN_RELEASES:
            if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
                self._map.madvise(mmap.MADV_DONTNEED)
            self._since_release = 0

    def __reduce__(self):
        return GeodesicTable, (self.path,)


def vertices_of(entries: int) -> int:
    """n with n (n - 1) / 2 = ``entries``, or 0 if there is none."""
    n = int((1 + np.sqrt(1 + 8 * float(entries))) / 2 + 0.5)
    return n if entries > 0 and n * (n - 1) // 2 == entries else 0


def write_geodesics(
    path: str | os.PathLike, num_vertices: int, rows: Iterable[np.ndarray], what: str = "geodesics"
) -> None:
    """Writes a table in bounded memory.

    Args:
        path: the file to write.
        num_vertices: n, at least 2.
        rows: arrays whose concatenation is the lower triangle by rows, in metres: row i has the i
            distances of vertex i to the vertices before it.
        what: name for the progress bar.

    Raises:
        ValueError: the arrays hold more or fewer than n (n - 1) / 2 values, or one that is negative
            or NaN.
    """
    total = num_vertices * (num_vertices - 1) // 2
    if total < 1:
        raise ValueError(f"a table of geodesics needs at least 2 vertices, not {num_vertices}")
    header = {"descr": "<f4", "fortran_order": False, "shape": (total,)}
    written = 0
    with (
        open(path, "wb") as stream,
        tqdm(
            total=total, desc=what, unit="pair", unit_scale=True, leave=False, mininterval=0.5
        ) as progress,
    ):
        np.lib.format.write_array_header_1_0(stream, header)
        for row in rows:
            row = np.ascontiguousarray(row, "<f4").reshape(-1)
            if row.size and not row.min() >= 0:
                raise ValueError(
                    f"{what}: distances {written} to {written + row.size} include {row.min()}; "
                    "expected metres of at least 0"
                )
            written += row.size
            if written > total:
                break
            stream.write(row)
            progress.update(row.size)
    if written != total:
        count = f"more than {total}" if written > total else str(written)
        raise ValueError(f"{what}: {count} distances for {num_vertices} vertices; expected {total}")


def cached_geodesics(
    name: str, key: str, num_vertices: int, rows: Callable[[], Iterable[np.ndarray]]
) -> GeodesicTable:
    """The table of a surface, from the cache; built on first use.

    Args:
        name: of the surface, for the file's name and the progress bar.
        key: hash of what the distances are computed from (``cache.content_key``).
        num_vertices: n.
        rows: returns the arrays for :func:`write_geodesics`; called only if the file is missing,
            and by one process if several ask at once.
    """
    path = build_once(
        f"geodesics-v{FORMAT_VERSION}-{name}-{key}.npy",
        lambda temporary: write_geodesics(
            temporary, num_vertices, rows(), f"geodesics of the {name} surface"
        ),
    )
    table = GeodesicTable(path)
    if table.num_vertices != num_vertices:
        raise ValueError(
            f"{path} has {table.num_vertices} vertices; expected {num_vertices}; delete it"
        )
    return table
