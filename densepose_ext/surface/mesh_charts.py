"""Chart coordinates of the vertices of meshes, for meshes that have charts."""

from __future__ import annotations

import logging
from functools import cache

import numpy as np

from .meshes import get_mesh
from .registry import get_surface

logger = logging.getLogger(f"detectron2.{__name__}")


@cache
def mesh_charts(mesh: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """I, U and V, each (n,), of the vertices of a mesh.

    None if it has no charts, or their files cannot be read, of which a warning is logged once.
    """
    try:
        surface = get_mesh(mesh).surface
        return None if surface is None else get_surface(surface).vertex_iuv
    except (FileNotFoundError, ValueError) as error:
        logger.warning(f"no I, U, V of the vertices of {mesh}: {error}")
        return None
