"""One person's ``dp_*`` keys: checked, and made into a DensePoseAnnotation."""

from __future__ import annotations

import numpy as np
import torch

from ..structures import ANNOTATION_SIDE, DensePoseAnnotation
from ..surface.parts import NUM_FINE_PARTS
from .rle import paint_part_masks, painted_map, row_runs

#: The keys of an annotated person. ``dp_masks`` may be absent.
POINT_KEYS = ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V")
#: A person of a continuous-surface-embedding file has this in place of I, U, V.
VERTEX_KEY = "dp_vertex"
#: U and V this far outside [0, 1] are rounding errors and are clamped.
UV_TOLERANCE = 1e-3


class AnnotationError(ValueError):
    """An annotation, or its dense pose, that cannot be used."""


def has_densepose(annotation: dict) -> bool:
    """Whether an annotation of a loaded dataset has dense pose."""
    return POINT_KEYS[0] in annotation


def read_densepose(annotation: dict) -> dict | None:
    """The dense pose of a COCO annotation, checked.

    Args:
        annotation: of the JSON file.

    Returns:
        the keys ``dp_*`` with points as float32 arrays of one length, and masks as the
        :func:`~densepose_ext.data.rle.row_runs` of their map; None if the person has no dense pose.

    Raises:
        AnnotationError: naming the key, the value and what was expected.
    """
    present = [key for key in POINT_KEYS if key in annotation]
    if VERTEX_KEY in annotation and "dp_I" not in present:
        raise AnnotationError("has dp_vertex in place of dp_I, dp_U, dp_V: for embeddings only")
    if not present:
        return None
    if len(present) < len(POINT_KEYS):
        missing = ", ".join(key for key in POINT_KEYS if key not in present)
        raise AnnotationError(f"has {', '.join(present)} but lacks {missing}")

    points = {}
    for key in POINT_KEYS:
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
    ):
        values = points[key]
        wrong = (values < low) | (values > high)
        if key == "dp_I":
            wrong |= values != np.round(values)
        if wrong.any():
            n = int(np.flatnonzero(wrong)[0])
            expected = "a part, 0 to 24" if key == "dp_I" else f"{round(low)} to {round(high)}"
            raise AnnotationError(f"{key}[{n}] = {values[n]:g}, expected {expected}")
    for key in ("dp_U", "dp_V"):
        points[key] = points[key].clip(0, 1)
    points = {key: values.astype(np.float32) for key, values in points.items()}

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
    x, y, i, u, v = (torch.from_numpy(np.array(checked[key], np.float32)) for key in POINT_KEYS)
    runs = checked.get("dp_masks")
    segm = torch.from_numpy(painted_map(runs)) if runs is not None else None
    return DensePoseAnnotation(x, y, i.long(), u, v, segm)
