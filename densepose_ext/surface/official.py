"""The body surface of the official data files (SMPL, non-commercial: not part of this project).

Three files, under ``https://dl.fbaipublicfiles.com/densepose/data/``, are needed for scores:

- ``SMPL_subdiv.mat``: U, V and part of every vertex of the subdivided UV charts;
- ``SMPL_SUBDIV_TRANSFORM.mat``: the vertex of the body, from 1, at each of them;
- ``Pdist_matrix.pkl``: distances between vertices, 1.5 GB; converted once, into the cache.

``UV_symmetry_transforms.mat`` maps I, U, V when a picture is flipped; without it the map is rebuilt
from ``UV_Processed.mat``.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ..files.cache import content_key
from .geodesics import GeodesicTable, cached_geodesics, vertices_of
from .matlab import read_matlab
from .official_charts import CHARTS_FILE, OfficialCharts
from .parts import NUM_FINE_PARTS
from .pickled_array import read_pickled_array
from .symmetry import SYMMETRY_FILE, MirrorTables
from .vertex_charts import vertex_iuv

OFFICIAL_URL = "https://dl.fbaipublicfiles.com/densepose/data/"


def download_cache() -> Path:
    """Detectron2's download cache of the official files."""
    root = os.environ.get("FVCORE_CACHE") or Path.home() / ".torch" / "iopath_cache"
    return Path(root) / "densepose" / "data"


class OfficialSurface:
    """Vertices and geodesics from a folder of official files; each is read when needed.

    Attributes:
        name: "smpl".
        folder: where the files are looked for.
    """

    name = "smpl"

    def __init__(self, folder: str | os.PathLike | None = None):
        """
        Args:
            folder: of the files; None for Detectron2's download cache.

        Raises:
            NotADirectoryError: the folder does not exist.
        """
        self.folder = Path(folder) if folder is not None else download_cache()
        if folder is not None and not self.folder.is_dir():
            raise NotADirectoryError(f"{self.folder} is not a folder of official DensePose files")

    def file(self, name: str) -> Path:
        """Path of an official file.

        Raises:
            FileNotFoundError: it is missing; the message says where it was expected and how to get
                it.
        """
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"the smpl surface needs {name}, which is not in {self.folder}; it is at "
                f"{OFFICIAL_URL}{name} (non-commercial licence)"
            )
        return path

    def closest_vertex(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The vertex of the body nearest to surface points, measured in (U, V) within the part.

        Args:
            i: parts, 1..24. Shape (n,).
            u, v: chart coordinates. Shape (n,).

        Returns:
            vertices from 0, int64, shape (n,); on ties, the first in the file.

        Raises:
            ValueError: a part is not on the surface, or a coordinate not finite.
        """
        return self._charts.closest(np.asarray(i), np.asarray(u), np.asarray(v))

    def geodesic(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Distances on the body between vertices, in metres; shapes broadcast."""
        return self._geodesics.distances(a, b)

    def mirror(
        self, i: np.ndarray, u: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Part, U and V of surface points after the picture is flipped left to right.

        Args:
            i: parts, 1..24. Any shape.
            u, v: chart coordinates. Of the same shape.
        """
        return self._mirror.mirror(i, u, v)

    def iuv(self, face: np.ndarray, barycentric: np.ndarray) -> tuple[np.ndarray, ...]:
        """I (int), U and V, each (P,), of triangles (P,) and weights (P, 3) of the charts' mesh."""
        return self._mesh.charts.iuv(face, barycentric)

    def points(
        self, i: np.ndarray, u: np.ndarray, v: np.ndarray, vertices: np.ndarray | None = None
    ) -> np.ndarray:
        """Positions (P, 3) of points on the body.

        Args:
            vertices: (6890, 3) of an SMPL body.

        Raises:
            ValueError: ``vertices`` is not given, and the official files hold no 3-D positions.
        """
        if vertices is None:
            raise ValueError(
                "the official files hold no positions in space: give the vertices (6890, 3) of an"
                " SMPL body, which its own model files have"
            )
        return self._mesh.charts.points(i, u, v, vertices)

    @property
    def vertex_iuv(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """I (uint8), U and V (float32), each (n,), of every vertex of the body."""
        return self._charts.iuv

    @cached_property
    def _mesh(self) -> OfficialCharts:
        return OfficialCharts(self.file(CHARTS_FILE))

    @cached_property
    def _mirror(self) -> MirrorTables | OfficialCharts:
        """The tables that published models were trained with, or a map rebuilt from the charts."""
        if not (self.folder / SYMMETRY_FILE).is_file() and (self.folder / CHARTS_FILE).is_file():
            return self._mesh
        return MirrorTables(self.file(SYMMETRY_FILE))

    @cached_property
    def _charts(self) -> _ChartVertices:
        subdivision, transform = "SMPL_subdiv.mat", "SMPL_SUBDIV_TRANSFORM.mat"
        path, transform_path = self.file(subdivision), self.file(transform)
        parts, u, v = _matrices(path, "Part_ID_subdiv", "U_subdiv", "V_subdiv")
        (index,) = _matrices(transform_path, "index")
        if not len(parts) == len(u) == len(v) == len(index):
            raise ValueError(
                f"{path} has {len(parts)} parts, {len(u)} U and {len(v)} V, "
                f"{transform_path} {len(index)} vertices; expected as many of each"
            )
        if not np.isin(parts, np.arange(1, NUM_FINE_PARTS + 1)).all():
            raise ValueError(f"{path}: Part_ID_subdiv has values outside 1..{NUM_FINE_PARTS}")
        # the index may be of any integer type; use 64 bits
        vertices = index.astype(np.int64) - 1
        if vertices.min() < 0:
            raise ValueError(f"{transform_path}: index has values under 1; vertices count from 1")
        return _ChartVertices(parts.astype(np.int64), np.stack([u, v], 1).astype(float), vertices)

    @cached_property
    def _geodesics(self) -> GeodesicTable:
        path = self.file("Pdist_matrix.pkl")
        used = self._charts.num_vertices
        stored = read_pickled_array(path, "Pdist_matrix")
        num_vertices = vertices_of(stored.size)
        if num_vertices < used:
            raise ValueError(
                f"{path}: {stored.size} distances; expected n (n - 1) / 2 for the n = {used} or "
                "more vertices of SMPL_SUBDIV_TRANSFORM.mat"
            )
        return cached_geodesics(self.name, content_key(path), num_vertices, stored.values)


class _ChartVertices:
    """Chart coordinates of the vertices, in one search tree per part."""

    def __init__(self, parts: np.ndarray, uv: np.ndarray, vertices: np.ndarray):
        """
        Args:
            parts: (M,) 1..24.
            uv: (M, 2).
            vertices: (M,) vertex of the body at each.
        """
        self.num_vertices = int(vertices.max()) + 1
        self.iuv = vertex_iuv(vertices, parts, uv, self.num_vertices)
        self._uv, self._vertices, self._trees = {}, {}, {}
        for part in np.unique(parts):
            of_part = parts == part
            # of coincident vertices only the first counts: drop the others, so that ties are rare
            uv_part, first = np.unique(uv[of_part], axis=0, return_index=True)
            order = np.argsort(first)
            self._uv[part] = uv_part[order]
            self._vertices[part] = vertices[of_part][first[order]]
            self._trees[part] = cKDTree(self._uv[part])

    def closest(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        points = np.stack([u, v], axis=-1).astype(float)
        if not np.isfinite(points).all():
            raise ValueError("U, V of surface points must be finite numbers")
        result = np.empty(len(points), np.int64)
        for part in np.unique(i):
            if part not in self._trees:
                raise ValueError(f"part {part} is not on the surface; parts are 1..24")
            of_part = i == part
            result[of_part] = self._vertices[part][self._nearest(part, points[of_part])]
        return result

    def _nearest(self, part: int, points: np.ndarray) -> np.ndarray:
        """Index (n,) of the vertex of a part nearest to each point; the first on ties."""
        if len(self._uv[part]) == 1:
            return np.zeros(len(points), np.int64)
        distance, index = self._trees[part].query(points, k=2)
        nearest = index[:, 0].astype(np.int64)
        # The tree returns equally near vertices in any order, and rounds differently: possible
        # ties are decided by the first minimum of the Euclidean distances.
        tied = distance[:, 1] <= distance[:, 0] * (1 + 1e-9) + 1e-12
        if tied.any():
            nearest[tied] = cdist(points[tied], self._uv[part]).argmin(1)
        return nearest


def _matrices(path: Path, *names: str) -> list[np.ndarray]:
    """Matrices of a MATLAB file, flattened.

    Raises:
        ValueError: it is not a MATLAB file, or a matrix is missing or not numeric.
    """
    contents = read_matlab(path)
    for name in names:
        if name not in contents or contents[name].dtype.kind not in "iuf":
            raise ValueError(f"{path} has no matrix of numbers {name}")
        if not contents[name].size:
            raise ValueError(f"{path}: {name} is empty")
    return [contents[name].ravel() for name in names]
