"""One person's ``dp_*`` keys: checked, and made into a DensePoseAnnotation."""

from __future__ import annotations

import numpy as np
import torch

from ..structures import ANNOTATION_SIDE, DensePoseAnnotation
from ..surface.parts import NUM_FINE_PARTS
from .rle import paint_part_masks, painted_map, row_runs

#: The keys of a person with points in charts. ``dp_masks`` may be absent.
POINT_KEYS = ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V")
#: The keys of a person with points as vertices of a mesh, for embeddings.
VERTEX_KEYS = ("dp_x", "dp_y", "dp_vertex", "ref_model")
#: U and V this far outside [0, 1] are rounding errors and are clamped.
UV_TOLERANCE = 1e-3
_LAST_VERTEX = 2**31 - 1
#: Keys of whole numbers, and what is expected of them.
_WHOLE = {"dp_I": "a part, 0 to 24", "dp_vertex": "a vertex, a whole number from 0"}


class AnnotationError(ValueError):
    """An annotation, or its dense pose, that cannot be used."""


def has_densepose(annotation: dict, by_vertices: bool = False) -> bool:
    """Whether an annotation of a loaded dataset has points in charts, or as vertices of a mesh."""
    return ("dp_vertex" if by_vertices else "dp_U") in annotation


def read_densepose(annotation: dict) -> dict | None:
    """The dense pose of a COCO annotation, checked.

    Args:
        annotation: of the JSON file.

    Returns:
        the keys ``dp_*`` with points as arrays of one length (dp_vertex int64, all others
        float32), ``ref_model`` beside dp_vertex, and masks as the
        :func:`~densepose_ext.data.rle.row_runs` of their map; None if the person has no dense pose.

    Raises:
        AnnotationError: naming the key, the value and what was expected.
    """
    present = [key for key in (*POINT_KEYS, *VERTEX_KEYS[2:]) if key in annotation]
    if not present:
        return None
    by_vertices = "dp_vertex" in annotation
    in_charts = not by_vertices or all(key in annotation for key in POINT_KEYS)
    needed = dict.fromkeys([*(POINT_KEYS if in_charts else ()), *(VERTEX_KEYS * by_vertices)])
    missing = [key for key in needed if key not in annotation]
    if missing:
        raise AnnotationError(f"has {', '.join(present)} but lacks {', '.join(missing)}")

    points = {}
    for key in needed:
        if key == "ref_model":
            continue
        try:
            values = np.asarray(annotation[key])
        except ValueError:  # lists of different lengths inside
            raise AnnotationError(f"{key} is not a flat list of numbers") from None
        if values.dtype.kind not in "iuf" or values.ndim != 1:
            raise AnnotationError(f"{key} is not a flat list of numbers")
        if not np.isfinite(values).all():
            raise AnnotationError(f"{key} has values that are not finite")
        points[key] = values
    lengths = {key: len(values) for key, values in points.items()}
    if len(set(lengths.values())) > 1:
        raise AnnotationError(
            "differing lengths: " + ", ".join(f"{key} {n}" for key, n in lengths.items())
        )
    if not lengths["dp_x"]:
        raise AnnotationError("has no points")

    for key, low, high in (
        ("dp_x", 0, ANNOTATION_SIDE),
        ("dp_y", 0, ANNOTATION_SIDE),
        ("dp_I", 0, NUM_FINE_PARTS),
        ("dp_U", -UV_TOLERANCE, 1 + UV_TOLERANCE),
        ("dp_V", -UV_TOLERANCE, 1 + UV_TOLERANCE),
        ("dp_vertex", 0, _LAST_VERTEX),
    ):
        if key not in points:
            continue
        values = points[key]
        wrong = (values < low) | (values > high)
        if key in _WHOLE:
            wrong |= values != np.round(values)
        if wrong.any():
            n = int(np.flatnonzero(wrong)[0])
            expected = _WHOLE.get(key, f"{round(low)} to {round(high)}")
            raise AnnotationError(f"{key}[{n}] = {values[n]:g}, expected {expected}")
    for key in ("dp_U", "dp_V"):
        if key in points:
            points[key] = points[key].clip(0, 1)
    points = {
        key: values.astype(np.int64 if key == "dp_vertex" else np.float32)
        for key, values in points.items()
    }
    if by_vertices:
        points["ref_model"] = annotation["ref_model"]
        if not isinstance(points["ref_model"], str):
            raise AnnotationError(f"ref_model = {points['ref_model']!r}, expected a mesh's name")

    masks = annotation.get("dp_masks")
    if not masks:  # an empty list says: no masks
        return points
    try:
        runs = row_runs(paint_part_masks(masks))
    except ValueError as error:
        raise AnnotationError(str(error)) from None
    return {**points, "dp_masks": runs}


def densepose_annotation(checked: dict) -> DensePoseAnnotation:
    """The annotation that :func:`read_densepose` has checked, as tensors of its own."""

    def tensor(key: str) -> torch.Tensor | None:
        return torch.from_numpy(checked[key].copy()) if key in checked else None

    x, y, i, u, v = map(tensor, POINT_KEYS)
    runs = checked.get("dp_masks")
    return DensePoseAnnotation(
        *(x, y, i.long() if i is not None else None, u, v),
        segm=torch.from_numpy(painted_map(runs)) if runs is not None else None,
        vertex=tensor("dp_vertex"),
        mesh=checked.get("ref_model"),
    )
