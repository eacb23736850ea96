"""The reader of the ``dp_*`` keys of one person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..surface.parts import ANNOTATION_SIDE, NUM_FINE_PARTS
from .rle import part_mask_runs

#: The keys of a person with points in charts. ``dp_masks`` may be absent.
POINT_KEYS = ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V")
#: The keys of a person with points as vertices of a mesh (CSE).
VERTEX_KEYS = ("dp_x", "dp_y", "dp_vertex", "ref_model")
#: U and V outside [0, 1] by at most this are taken as rounding errors, and clamped.
UV_TOLERANCE = 1e-3
#: Key -> lowest and highest value.
_RANGES = {
    "dp_x": (0, ANNOTATION_SIDE),
    "dp_y": (0, ANNOTATION_SIDE),
    "dp_I": (0, NUM_FINE_PARTS),
    "dp_U": (-UV_TOLERANCE, 1 + UV_TOLERANCE),
    "dp_V": (-UV_TOLERANCE, 1 + UV_TOLERANCE),
    "dp_vertex": (0, 2**31 - 1),
}
#: Keys of whole numbers, and what is expected of them.
_WHOLE = {"dp_I": "a part, 0 to 24", "dp_vertex": "a vertex, a whole number from 0"}


class AnnotationError(ValueError):
    """An annotation, or its dense pose, that cannot be used."""


def has_densepose(annotation: dict, by_vertices: bool = False) -> bool:
    """Whether an annotation of a loaded dataset has points in charts, or as vertices of a mesh."""
    return ("dp_vertex" if by_vertices else "dp_U") in annotation


def read_densepose(annotation: dict) -> dict | None:
    """The validated dense pose of a COCO annotation.

    Returns:
        the points as returned by :func:`read_points` and, if there are masks, under ``dp_masks``
        the :func:`~densepose_ext.data.rle.row_runs` of the label map; None without dense pose.

    Raises:
        AnnotationError: a value is invalid; the message names key, value and what was expected.
    """
    points = read_points(annotation)
    if points is None:
        return None
    try:
        runs = part_mask_runs(annotation.get("dp_masks"))
    except ValueError as error:
        raise AnnotationError(str(error)) from None
    return points if runs is None or not runs.size else {**points, "dp_masks": runs}


def read_points(annotation: dict) -> dict | None:
    """The validated points of a person.

    Returns:
        arrays of one length under POINT_KEYS, VERTEX_KEYS or both, float64 except dp_vertex, which
        is int64; ref_model is a name. None if none of the keys has a value.

    Raises:
        AnnotationError: a value is invalid; the message names key, value and what was expected.
    """
    present = [key for key in (*POINT_KEYS, *VERTEX_KEYS[2:]) if annotation.get(key) is not None]
    if not present:
        return None
    needed = _needed_keys(present)
    missing = [key for key in needed if key not in present]
    if missing:
        raise AnnotationError(f"has {', '.join(present)} but lacks {', '.join(missing)}")

    points = {key: _numbers(annotation[key], key) for key in needed if key != "ref_model"}
    lengths = {key: len(values) for key, values in points.items()}
    if len(set(lengths.values())) > 1:
        raise AnnotationError(
            "differing lengths: " + ", ".join(f"{key} {n}" for key, n in lengths.items())
        )
    if not lengths["dp_x"]:
        raise AnnotationError("has no points")

    for key, values in points.items():
        _check_values(key, values)
    for key in ("dp_U", "dp_V"):
        if key in points:
            points[key] = points[key].clip(0, 1)
    if "dp_vertex" in points:
        points["dp_vertex"] = points["dp_vertex"].astype(np.int64)
        points["ref_model"] = annotation["ref_model"]
        if not isinstance(points["ref_model"], str):
            raise AnnotationError(f"ref_model = {points['ref_model']!r}, expected a mesh's name")
    return points


def _needed_keys(present: Sequence[str]) -> list[str]:
    """The keys that are needed beside those present, in a fixed order."""
    by_vertices = "dp_vertex" in present
    in_charts = not by_vertices or set(POINT_KEYS) <= set(present)
    needed = dict.fromkeys([*(POINT_KEYS if in_charts else ()), *(VERTEX_KEYS * by_vertices)])
    if "dp_I" in present:  # evaluation uses the part, even without U and V
        needed["dp_I"] = None
    return list(needed)


def _check_values(key: str, values: np.ndarray) -> None:
    low, high = _RANGES[key]
    wrong = (values < low) | (values > high)
    if key in _WHOLE:
        wrong |= values != np.round(values)
    if wrong.any():
        n = int(np.flatnonzero(wrong)[0])
        expected = _WHOLE.get(key, f"{round(low)} to {round(high)}")
        raise AnnotationError(f"{key}[{n}] = {values[n]:g}, expected {expected}")


def _numbers(given: object, key: str) -> np.ndarray:
    """A list of numbers, which may be strings, as float64."""
    wrong = AnnotationError(f"{key} is not a flat list of numbers")
    try:
        values = np.asarray(given)
        if values.dtype.kind == "U":
            values = values.astype(float)
    except ValueError:  # nested lists of different lengths, or text
        raise wrong from None
    if values.dtype.kind not in "iuf" or values.ndim != 1:
        raise wrong
    if not np.isfinite(values).all():
        raise AnnotationError(f"{key} has values that are not finite")
    return values.astype(np.float64)
