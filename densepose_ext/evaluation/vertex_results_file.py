"""Detections with vertices in a results file.

Instead of uv_shape and uv_data, an entry has ``ref_model``, the mesh, and ``vertices``: base64 of a
16-bit PNG over the box, 0 outside the person, otherwise the vertex plus 1.
"""

from __future__ import annotations

import numpy as np
import torch

from ..structures import VertexResult
from ..surface.meshes import get_mesh
from .entry_fields import decode_png, encode_png


def encode_vertices(result: VertexResult) -> str:
    """Base64 of the PNG of a person's vertices.

    Raises:
        ValueError: a vertex above 65,534 does not fit into 16 bits.
    """
    values = np.where(np.asarray(result.labels) > 0, np.asarray(result.vertices) + 1, 0)
    if values.size and values.max() > 65535:
        raise ValueError(f"vertex {values.max() - 1} of {result.mesh} does not fit into 16 bits")
    return encode_png(values.astype(np.uint16))


def decode_vertices(data: str, mesh: str) -> VertexResult:
    """The vertices of an entry.

    Raises:
        ValueError: it is not a 16-bit PNG of one channel in base64, or has vertices that the mesh
            does not have.
    """
    values = decode_png(data, "vertices")
    if values.dtype != np.uint16 or values.ndim != 2:
        raise ValueError("vertices is not a 16-bit PNG of one channel")
    number = get_mesh(mesh).num_vertices
    if values.size and values.max() > number:
        raise ValueError(f"vertices has vertex {values.max() - 1}; {mesh} has 0 to {number - 1}")
    labels = (values > 0).astype(np.uint8)
    vertices = np.maximum(values.astype(np.int32) - 1, 0)
    return VertexResult(torch.from_numpy(labels), torch.from_numpy(vertices), mesh)
