"""Transforms annotations along with their image.

Points and masks are relative to the person's box, so they undergo the image's transform as seen
from the old box to the new one: nothing under a resize, a mirror image under a flip, a change of
frame under a crop or rotation. All geometric transforms of Detectron2 are affine, so one 2 x 3
matrix, read off the transforms themselves, covers every combination.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from detectron2.data.transforms import TransformList

from ..structures import DensePoseAnnotation
from ..surface.parts import ANNOTATION_SIDE, COARSE_MIRROR, FINE_MIRROR

#: (I, U, V) -> (I, U, V) of the same surface points in a flipped picture; arrays of one shape.
Mirror = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]

#: (name of a mesh, vertices) -> the vertices seen in their places in a flipped picture.
VertexMirror = Callable[[str, np.ndarray], np.ndarray]

#: A lookup table for OpenCV, with 256 entries; only the parts 0 to 14 occur.
_COARSE_MIRROR = np.zeros(256, np.uint8)
_COARSE_MIRROR[: len(COARSE_MIRROR)] = COARSE_MIRROR
#: A change of frame that moves no point by this much (in 1/256 of the box) is ignored for masks.
_MASK_TOLERANCE = 0.25


def affine_matrix(transforms: TransformList) -> np.ndarray:
    """(2, 3): the affine map of positions (x, y) in the image that the transforms amount to."""
    # Three points far apart, so that rounding in the transforms does not matter.
    probe = np.array([[0.0, 0.0], [1000.0, 0.0], [0.0, 1000.0]])
    origin, right, down = np.asarray(transforms.apply_coords(probe.copy()), dtype=np.float64)
    return np.stack([(right - origin) / 1000, (down - origin) / 1000, origin], axis=1)


def transform_densepose(
    annotation: DensePoseAnnotation,
    matrix: np.ndarray,
    old_box: np.ndarray,
    new_box: np.ndarray,
    mirror: Mirror | None,
    mirror_vertices: VertexMirror | None = None,
) -> DensePoseAnnotation | None:
    """An annotation after its image was transformed.

    If the matrix mirrors the picture, left and right parts are exchanged, and U, V and vertices
    mapped accordingly. Points outside the new box are dropped.

    Args:
        annotation: relative to ``old_box``.
        matrix: (2, 3), from :func:`affine_matrix`.
        old_box: (4,) XYXY in the original image.
        new_box: (4,) XYXY in the transformed image.
        mirror: of the surface that I, U, V refer to; only needed for mirror images.
        mirror_vertices: of the meshes that vertices refer to; only needed for mirror images.

    Returns:
        the annotation relative to ``new_box``; None if no point is left.

    Raises:
        ValueError: a mirror image of points in charts without ``mirror``, or of vertices without
            ``mirror_vertices``.
    """
    frame = _change_of_frame(matrix, old_box, new_box)
    points = np.stack([annotation.x.numpy(), annotation.y.numpy()]).astype(np.float64)
    points = (frame[:, :2] @ points + frame[:, 2:]).astype(np.float32)
    on_surface = {
        name: getattr(annotation, name).numpy()
        for name in ("i", "u", "v", "vertex")
        if getattr(annotation, name) is not None
    }
    segm = annotation.segm.numpy() if annotation.segm is not None else None
    is_mirror_image = matrix[0, 0] * matrix[1, 1] < matrix[0, 1] * matrix[1, 0]
    if is_mirror_image:
        on_surface = _mirrored(on_surface, mirror, annotation.mesh, mirror_vertices)

    # A point on the border may end up outside by a rounding error.
    inside = ((points > -1e-3) & (points < ANNOTATION_SIDE + 1e-3)).all(axis=0)
    if not inside.any():
        return None
    if not inside.all():
        points = points[:, inside]
        on_surface = {name: values[inside] for name, values in on_surface.items()}
    if segm is not None:
        segm = _warp(segm, frame)
        if is_mirror_image:
            segm = cv2.LUT(segm, _COARSE_MIRROR)
    x, y = torch.from_numpy(points.clip(0, ANNOTATION_SIDE))
    return DensePoseAnnotation(
        x,
        y,
        **{
            name: torch.from_numpy(np.asarray(values, np.float32 if name in "uv" else np.int64))
            for name, values in on_surface.items()
        },
        segm=torch.from_numpy(segm) if segm is not None else None,
        mesh=annotation.mesh,
    )


def _change_of_frame(matrix: np.ndarray, old_box: np.ndarray, new_box: np.ndarray) -> np.ndarray:
    """(2, 3): from 1/256 of the old box, through both images, to 1/256 of the new box."""
    old_origin, new_origin = old_box[:2], new_box[:2]
    old_unit = (old_box[2:] - old_origin) / ANNOTATION_SIDE
    new_unit = (new_box[2:] - new_origin) / ANNOTATION_SIDE
    linear = matrix[:, :2] * old_unit / new_unit[:, None]
    offset = (matrix[:, :2] @ old_origin + matrix[:, 2] - new_origin) / new_unit
    return np.concatenate([linear, offset[:, None]], axis=1)


def _mirrored(
    on_surface: dict[str, np.ndarray],
    mirror: Mirror | None,
    mesh: str | None,
    mirror_vertices: VertexMirror | None,
) -> dict[str, np.ndarray]:
    """The mirrored I, U, V and vertices. Background points (I = 0) stay as they are."""
    result = {}
    if "i" in on_surface:
        if mirror is None:
            raise ValueError("a flipped picture needs the mirror map of the annotation's surface")
        i, u, v = (on_surface[name] for name in "iuv")
        on_body = i > 0
        result = {"i": FINE_MIRROR[i], "u": u.copy(), "v": v.copy()}
        _, result["u"][on_body], result["v"][on_body] = mirror(i[on_body], u[on_body], v[on_body])
    if "vertex" in on_surface:
        if mirror_vertices is None:
            raise ValueError("a flipped picture needs the symmetry of the annotation's mesh")
        result["vertex"] = mirror_vertices(mesh, on_surface["vertex"])
    return result


def _warp(segm: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """A mask (256, 256) warped into a new frame, with background where it is unknown."""
    side = ANNOTATION_SIDE
    corners = np.array([[0, side, 0], [0, 0, side], [1, 1, 1]])
    there = frame @ corners
    if np.abs(there - corners[:2]).max() < _MASK_TOLERANCE:
        return segm
    flipped = np.stack([side - corners[0], corners[1]])
    if np.abs(there - flipped).max() < _MASK_TOLERANCE:
        return cv2.flip(segm, 1)
    # From positions to indices of cells, which have centres at +0.5.
    index_frame = frame.copy()
    index_frame[:, 2] += frame[:, :2] @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(segm, index_frame, (side, side), flags=cv2.INTER_NEAREST)
