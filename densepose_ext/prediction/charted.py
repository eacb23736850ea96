"""Chart coordinates of vertices, for meshes that have charts."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from ..structures import VertexResult
from ..surface.meshes import get_mesh
from ..surface.registry import get_surface

logger = logging.getLogger(f"detectron2.{__name__}")


def charted(result: VertexResult) -> VertexResult:
    """A copy with the fine parts and the U, V of its vertices, if its mesh has charts.

    Args:
        result: on the CPU.
    """
    charts = mesh_charts(result.mesh)
    vertices = result.vertices.numpy()
    if charts is None or vertices.max(initial=0) >= len(charts[0]):
        return result
    i, u, v = (values[vertices] for values in charts)
    person = result.labels.numpy() > 0
    labels = torch.from_numpy(np.where(person, i, 0).astype(np.uint8))
    uv = torch.from_numpy(np.stack([u, v]) * person)
    return replace(result, labels=labels, uv=uv)


@cache
def mesh_charts(mesh: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """I, U and V, each (n,), of the vertices of a mesh; None if it has no charts."""
    try:
        surface = get_mesh(mesh).surface
        return None if surface is None else get_surface(surface).vertex_iuv
    except (FileNotFoundError, ValueError) as error:
        logger.warning(f"no I, U, V of the vertices of {mesh}: {error}")
        return None
