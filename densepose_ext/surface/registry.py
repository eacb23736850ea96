"""Surfaces by name, as in the metadata of datasets and on the command line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np


class Surface(Protocol):
    """What training and evaluation need of a body surface.

    Attributes:
        name: as registered.
        vertex_iuv: I (uint8), U and V (float32), each (n,), of every vertex.
    """

    name: str
    vertex_iuv: tuple[np.ndarray, np.ndarray, np.ndarray]

    def closest_vertex(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Vertices, int (n,), nearest to the points (part 1..24, U, V) of arrays of shape (n,)."""

    def geodesic(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Distances in metres on the body between vertices; shapes broadcast."""

    def mirror(
        self, i: np.ndarray, u: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(I, U, V), each (n,), of surface points after the picture is flipped left to right."""


# Many a program registers datasets and never looks at a surface: SciPy waits until one does.
def _open_surface() -> Surface:
    from .surface import BodySurface

    return BodySurface.load()


def _official_surface(folder: str | None = None) -> Surface:
    from .official import OfficialSurface

    return OfficialSurface(folder)


_factories: dict[str, Callable[[], Surface]] = {
    "open": _open_surface,
    "smpl": _official_surface,
}
_surfaces: dict[str, Surface] = {}


def register_surface(name: str, factory: Callable[[], Surface]) -> None:
    """Registers a surface under a name; ``factory()`` is called on first use.

    Raises:
        ValueError: the name is taken.
    """
    if name in _factories:
        raise ValueError(f"a surface {name!r} is registered already")
    _factories[name] = factory


def body_of(name: str | os.PathLike) -> str:
    """The registered name of a surface; "smpl" for a folder of official files. Reads nothing."""
    key = os.fspath(name)
    return key if key in _factories else "smpl"


def check_surface(name: str | os.PathLike) -> None:
    """Checks that a name is registered, or is a folder. Reads nothing.

    Raises:
        ValueError: it is neither; the message lists the registered names.
    """
    key = os.fspath(name)
    if key not in _factories and not Path(key).is_dir():
        raise ValueError(
            f"no surface {key!r}: registered are {', '.join(sorted(_factories))}; "
            "a folder with the official files is a surface too"
        )


def get_surface(name: str | os.PathLike) -> Surface:
    """The surface of a registered name, or of a folder with the official files.

    Surfaces are cached, as they hold the files that they have read.

    Raises:
        OSError, ValueError: there is no such surface, or its files cannot be used.
    """
    check_surface(name)
    key = os.fspath(name)
    factory = _factories.get(key)
    if factory is None:
        key = str(Path(key).resolve())
    if key not in _surfaces:
        _surfaces[key] = factory() if factory else _official_surface(key)
    return _surfaces[key]
