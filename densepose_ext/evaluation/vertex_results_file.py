"""Detections with vertices in a results file.

Instead of uv_shape and uv_data, an entry has ``ref_model``, the mesh, and ``vertices``: base64 of a
16-bit PNG over the box, 0 outside the person, otherwise the vertex plus 1.
"""

from __future__ import annotations

import base64
import binascii

import cv2
import numpy as np
import torch

from ..structures import VertexResult
from ..surface.meshes import get_mesh


def encode_vertices(result: VertexResult) -> str:
    """Base64 of the PNG of a person's vertices.

    Raises:
        ValueError: a vertex above 65,534 does not fit into 16 bits.
    """
    values = np.where(np.asarray(result.labels) > 0, np.asarray(result.vertices) + 1, 0)
    if values.size and values.max() > 65535:
        raise ValueError(f"vertex {values.max() - 1} of {result.mesh} does not fit into 16 bits")
    done, png = cv2.imencode(".png", values.astype(np.uint16))
    if not done:
        raise ValueError(f"OpenCV cannot write a PNG of shape {values.shape}")
    return base64.b64encode(png).decode("ascii")


def decode_vertices(data: str, mesh: str) -> VertexResult:
    """The vertices of an entry.

    Raises:
        ValueError: it is not a 16-bit PNG of one channel in base64, or has vertices that the mesh
            does not have.
    """
    try:
        png = np.frombuffer(base64.b64decode(data, validate=True), np.uint8)
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValueError(f"vertices is not base64: {error}") from error
    values = cv2.imdecode(png, cv2.IMREAD_UNCHANGED) if len(png) else None
    if values is None or values.dtype != np.uint16 or values.ndim != 2:
        raise ValueError("vertices is not a 16-bit PNG of one channel")
    number = get_mesh(mesh).num_vertices
    if values.size and values.max() > number:
        raise ValueError(f"vertices has vertex {values.max() - 1}; {mesh} has 0 to {number - 1}")
    labels = (values > 0).astype(np.uint8)
    vertices = np.maximum(values.astype(np.int32) - 1, 0)
    return VertexResult(torch.from_numpy(labels), torch.from_numpy(vertices), mesh)


def vertex_entry(
    image_id: int | str, category: int, box: np.ndarray, score: float, result: VertexResult
) -> dict:
    """An entry of a results file. box: xywh."""
    return {
        "image_id": image_id if isinstance(image_id, str) else int(image_id),
        "category_id": int(category),
        "bbox": [float(value) for value in box],
        "score": float(score),
        "ref_model": result.mesh,
        "vertices": encode_vertices(result),
    }
