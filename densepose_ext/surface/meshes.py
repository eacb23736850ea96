"""The catalogue of meshes that embeddings refer to: ``ref_model`` of annotations, by name.

``open`` is the body that comes with the package. All others are files in the official form, in
``$DENSEPOSE_EXT_MESHES`` if that is set, else where Detectron2 keeps what it has downloaded; a mesh
of your own is one more ``NAME.pkl`` there, or is registered with :func:`register_mesh`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

MESHES_VARIABLE = "DENSEPOSE_EXT_MESHES"

#: Names of the meshes that the official project offers for download.
OFFICIAL_MESHES = (
    "smpl_27554",
    "chimp_5029",
    "cat_5001",
    "cat_7466",
    "sheep_5004",
    "zebra_5002",
    "horse_5004",
    "giraffe_5002",
    "elephant_5002",
    "dog_5002",
    "dog_7466",
    "cow_5002",
    "bear_4936",
)


class Mesh(Protocol):
    """A triangle mesh of n vertices whose surface annotations and embeddings refer to.

    Attributes:
        name: in the catalogue.
        num_vertices: n.
        vertices: (n, 3) float64, places in metres.
        faces: (F, 3) int64.
        symmetry: (n,) int64, mirror image of each vertex.
        texture_coordinates: (n, 2) float32, u and v of each vertex in a texture picture.
        surface: name of the surface whose charts have the same vertices, or None.
    """

    name: str
    num_vertices: int
    vertices: np.ndarray
    faces: np.ndarray
    symmetry: np.ndarray
    texture_coordinates: np.ndarray
    surface: str | None

    def geodesic(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Distances in metres from vertices ``a`` to vertices ``b``; shapes broadcast."""

    def geodesic_rows(self, vertices: np.ndarray) -> np.ndarray:
        """Distances (P, n) in metres, float32, from vertices (P,) to all vertices."""


# Imported when a mesh is asked for: importing the package needs no SciPy.
def _open_mesh() -> Mesh:
    from .open_mesh import OpenMesh

    return OpenMesh()


def _official_mesh(name: str) -> Mesh:
    from .official_mesh import OfficialMesh

    return OfficialMesh(name, mesh_folder())


_factories: dict[str, Callable[[], Mesh]] = {"open": _open_mesh}
_meshes: dict[tuple[str, Path], Mesh] = {}


def register_mesh(name: str, factory: Callable[[], Mesh]) -> None:
    """Makes a mesh known under a name; ``factory()`` is called when it is first asked for.

    Raises:
        ValueError: the name is taken.
    """
    if name in mesh_names():
        raise ValueError(f"a mesh {name!r} is registered already")
    _factories[name] = factory


def mesh_folder() -> Path:
    """The folder of meshes in the official form."""
    folder = os.environ.get(MESHES_VARIABLE)
    if folder:
        return Path(folder)
    from .official import download_cache

    return download_cache().parent / "meshes"


def mesh_names() -> tuple[str, ...]:
    """Names of all meshes: those registered, the official ones, and those in the folder."""
    found = sorted(path.stem for path in mesh_folder().glob("*.pkl"))
    return tuple(dict.fromkeys([*_factories, *OFFICIAL_MESHES, *found]))


def get_mesh(name: str) -> Mesh:
    """The mesh of a name. Its files are read when they are needed, once a process.

    Raises:
        ValueError: there is none of that name; the message lists those there are.
    """
    key = (name, mesh_folder())
    if key not in _meshes:
        if name in _factories:
            _meshes[key] = _factories[name]()
        elif name in mesh_names():
            _meshes[key] = _official_mesh(name)
        else:
            raise ValueError(
                f"no mesh {name!r}: known are {', '.join(mesh_names())}; a file {name}.pkl in"
                f" {mesh_folder()} (or ${MESHES_VARIABLE}) would be one"
            )
    return _meshes[key]
