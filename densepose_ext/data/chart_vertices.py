"""Converts annotations from points in charts to vertices of a mesh of the same body, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from ..files.atomic import replacing
from ..surface.meshes import get_mesh
from ..surface.registry import get_surface
from .annotations import POINT_KEYS, AnnotationError, read_points


def with_vertices(annotation: dict, mesh: str = "open") -> dict:
    """Adds vertices of a mesh to an annotation with points in charts.

    A point gets the nearest vertex in its chart. Points on background (dp_I = 0) are dropped.

    Args:
        annotation: from a COCO JSON; returned unchanged if it has no valid points in charts.
        mesh: one of the body that has these charts.

    Raises:
        ValueError: the mesh has no charts.
    """
    surface = _charts_of(mesh)
    try:
        points = read_points(annotation)
    except AnnotationError:
        return annotation
    if points is None or "dp_U" not in points or not (points["dp_I"] > 0).any():
        return annotation
    on_body = points["dp_I"] > 0
    i, u, v = (points[key][on_body] for key in POINT_KEYS[2:])
    kept = {
        key: [value for value, keep in zip(annotation[key], on_body) if keep] for key in POINT_KEYS
    }
    vertices = surface.closest_vertex(i.astype(np.int64), u, v)
    return {**annotation, **kept, "dp_vertex": vertices.tolist(), "ref_model": mesh}


def with_charts(annotation: dict) -> dict:
    """Adds chart coordinates to an annotation with vertices.

    Args:
        annotation: from a COCO JSON; returned unchanged if it has no valid vertices.

    Raises:
        ValueError: its mesh has no charts, or fewer vertices.
    """
    try:
        points = read_points(annotation)
    except AnnotationError:
        return annotation
    if points is None or "dp_vertex" not in points:
        return annotation
    vertices, mesh = points["dp_vertex"], points["ref_model"]
    charts = _charts_of(mesh).vertex_iuv
    if vertices.max() >= len(charts[0]):
        raise ValueError(
            f"annotation {annotation.get('id')}: dp_vertex {vertices.max()}, expected 0 to"
            f" {len(charts[0]) - 1}, the vertices of {mesh}"
        )
    i, u, v = (values[vertices].tolist() for values in charts)
    return {**annotation, "dp_I": i, "dp_U": u, "dp_V": v}


def write_with_vertices(
    source: str | os.PathLike, target: str | os.PathLike, mesh: str = "open"
) -> None:
    """Writes a copy of a COCO JSON in which people have vertices too, atomically."""
    content = json.loads(Path(source).read_bytes())
    content["annotations"] = [with_vertices(a, mesh) for a in content["annotations"]]
    with replacing(Path(target)) as temporary:
        temporary.write_text(json.dumps(content))


def _charts_of(mesh: str):
    surface = get_mesh(mesh).surface
    if surface is None:
        raise ValueError(f"the mesh {mesh} has no charts")
    return get_surface(surface)
