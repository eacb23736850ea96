"""A mesh in the official form: a folder of pickles, which are read without running what is in them.

Of a mesh NAME: ``NAME.pkl`` {"vertices", "faces"}, ``geodists/geodists_NAME.pkl`` (n, n),
``symmetry/symmetry_NAME.pkl`` {"vertex_transforms"}, ``texcoords/texcoords_NAME.pkl`` (n, 2).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from ..files.cache import content_key
from ..files.plain_pickle import read_plain_pickle
from .geodesic_matrix import GeodesicMatrix, cached_matrix
from .pickled_array import read_pickled_array

MESHES_URL = "https://dl.fbaipublicfiles.com/densepose/meshes/"


class OfficialMesh:
    """See :class:`~densepose_ext.surface.meshes.Mesh`; each file is read when it is needed.

    Attributes:
        folder: where the files are.
    """

    def __init__(self, name: str, folder: Path):
        self.name = name
        # The subdivided surface of the official charts.
        self.surface = "smpl" if name == "smpl_27554" else None
        self.folder = folder

    def file(self, relative: str) -> Path:
        """Path of one of the mesh's files.

        Raises:
            FileNotFoundError: which says what is missing, where, and how to get it.
        """
        path = self.folder / relative
        if not path.is_file():
            raise FileNotFoundError(
                f"the mesh {self.name} needs {relative}, which is not in {self.folder}; the"
                f" official ones are at {MESHES_URL}{relative} (non-commercial licence)"
            )
        return path

    @cached_property
    def vertices(self) -> np.ndarray:
        return self._read(f"{self.name}.pkl", "vertices", "f", (None, 3)).astype(np.float64)

    @cached_property
    def faces(self) -> np.ndarray:
        faces = self._read(f"{self.name}.pkl", "faces", "iu", (None, 3)).astype(np.int64)
        return self._vertex_numbers(f"{self.name}.pkl", "faces", faces)

    @property
    def num_vertices(self) -> int:
        return len(self.vertices)

    @cached_property
    def symmetry(self) -> np.ndarray:
        file = f"symmetry/symmetry_{self.name}.pkl"
        found = self._read(file, "vertex_transforms", "iu", (self.num_vertices,)).astype(np.int64)
        return self._vertex_numbers(file, "vertex_transforms", found)

    @cached_property
    def texture_coordinates(self) -> np.ndarray:
        file = f"texcoords/texcoords_{self.name}.pkl"
        return self._read(file, None, "f", (self.num_vertices, 2)).astype(np.float32)

    def geodesic(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Distances in metres from vertices ``a`` to vertices ``b``; shapes broadcast."""
        return self._geodesics.distances(a, b)

    def geodesic_rows(self, vertices: np.ndarray) -> np.ndarray:
        """Distances (P, n) in metres, float32, from vertices (P,) to all vertices."""
        return self._geodesics.rows(vertices)

    @cached_property
    def _geodesics(self) -> GeodesicMatrix:
        path = self.file(f"geodists/geodists_{self.name}.pkl")
        stored = read_pickled_array(path)
        n = self.num_vertices
        if stored.shape != (n, n):
            raise ValueError(
                f"{path}: geodesics of shape {stored.shape}, expected {(n, n)} for the {n} vertices"
                f" of {self.name}.pkl"
            )
        return cached_matrix(self.name, content_key(path), n, stored.values)

    def _vertex_numbers(self, file: str, key: str, values: np.ndarray) -> np.ndarray:
        if values.size and not 0 <= values.min() <= values.max() < self.num_vertices:
            raise ValueError(
                f"{self.folder / file}: {key} has vertices from {values.min()} to {values.max()},"
                f" expected 0 to {self.num_vertices - 1}"
            )
        return values

    def _read(self, file: str, key: str | None, kinds: str, shape: tuple) -> np.ndarray:
        """The array ``key`` of a file (None: the file is one array), its type and shape checked.

        Args:
            kinds: letters of numpy's kinds of numbers. shape: None stands for any length.
        """
        path = self.file(file)
        with open(path, "rb") as stream:
            try:
                content = read_plain_pickle(stream)
            except ValueError as error:
                raise ValueError(f"{path} is not a pickle of arrays: {error}") from error
        found = content if key is None else content.get(key) if isinstance(content, dict) else None
        what = f"{path}: {key}" if key else f"{path}"
        if not isinstance(found, np.ndarray) or found.dtype.kind not in kinds:
            raise ValueError(f"{what} is not an array of numbers ({type(found).__name__})")
        fits = len(found.shape) == len(shape) and all(
            expected in (None, length) for length, expected in zip(found.shape, shape)
        )
        if not fits or not np.isfinite(found).all():
            expected = tuple("n" if length is None else length for length in shape)
            raise ValueError(f"{what} has shape {found.shape}, expected finite numbers {expected}")
        return found
