"""Estimates which view of a region matches the picture best, and how to rotate it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.rle import paint_part_masks
from ..surface.parts import ANNOTATION_SIDE, COARSE_MIRROR, COARSE_PART_NAMES, NUM_COARSE_PARTS
from .views import NUM_VIEWS, View

#: Minimum number of placed points to fit a camera to.
FEWEST = 5
#: The next region towards the torso, which is up in the views of a region.
_PARENT = {
    "hand": "lower arm",
    "lower arm": "upper arm",
    "upper arm": "torso",
    "foot": "lower leg",
    "lower leg": "upper leg",
    "upper leg": "torso",
}


@dataclass(frozen=True)
class Turn:
    """How to show the views of a region.

    Attributes:
        best: number of the view whose direction is closest to that of the picture's camera.
        rolls: per view, the clockwise rotation in degrees that aligns it with the picture.
        is_known: False if this is a default, for lack of evidence.
    """

    best: int
    rolls: tuple[float, ...]
    is_known: bool


def turn_from_points(
    views: tuple[View, ...], pixels: np.ndarray, places: np.ndarray
) -> Turn | None:
    """Estimates the turn of a region from points with known positions on the body.

    Args:
        views: views of the region.
        pixels: (P, 2) positions in the image. places: (P, 3) positions on the body, metres.

    Returns:
        None if there are too few points, or if they lie on a line.
    """
    if len(pixels) < FEWEST:
        return None
    flat, solid = pixels - pixels.mean(0), places - places.mean(0)
    if np.linalg.svd(flat, compute_uv=False)[-1] < 1e-6:
        return None
    # Points on one side of a region are almost coplanar; damping keeps the direction normal to them
    # from being fitted to annotation errors.
    damping = 1e-2 * np.trace(solid.T @ solid) / 3
    affine = flat.T @ solid @ np.linalg.inv(solid.T @ solid + damping * np.eye(3))
    left, sizes, right = np.linalg.svd(affine, full_matrices=False)
    if sizes[1] < 0.05 * sizes[0]:
        return None
    across, down = left @ right
    forward = np.cross(across, down)
    best = int(np.argmax([view.rotation[2] @ forward for view in views]))
    rolls = tuple(_degrees(np.stack([across, down]) @ -view.rotation[1]) for view in views)
    return Turn(best, rolls, True)


def turn_from_regions(regions: list | None, box: list[float], region: int) -> Turn:
    """Estimates the turn of a region from the positions of the others.

    A person whose right limbs are to the left of their left ones is seen from the front.

    Args:
        regions: ``dp_masks``. box: x, y, width, height, in pixels of the image.
        region: 1..14.
    """
    middles = _middles(regions, box)
    up = _up(middles, region)
    facing = _facing(middles)
    name = COARSE_PART_NAMES[region]
    is_compact = name in ("torso", "head", "left foot", "right foot")
    behind = 2 if is_compact else NUM_VIEWS // 2
    roll = 0.0 if up is None else _degrees(up)
    return Turn(behind if facing < 0 else 0, (roll,) * NUM_VIEWS, up is not None or facing != 0)


def _middles(regions: list | None, box: list[float]) -> dict[int, np.ndarray]:
    """Centroid (2,) of each region that is drawn, in pixels from the corner of the box."""
    if not regions:
        return {}
    painted = paint_part_masks(regions)
    result = {}
    for region in range(1, NUM_COARSE_PARTS + 1):
        row, column = np.nonzero(painted == region)
        if len(row):
            result[region] = np.array([column.mean() * box[2], row.mean() * box[3]])
            result[region] /= ANNOTATION_SIDE
    return result


def _up(middles: dict[int, np.ndarray], region: int) -> np.ndarray | None:
    """Direction in the image of a region's upper end; None if unknown."""
    if region not in middles:
        return None
    name = COARSE_PART_NAMES[region]
    torso, head = middles.get(1), middles.get(NUM_COARSE_PARTS)
    if name in ("torso", "head"):
        if torso is not None and head is not None:
            return head - torso
        legs = [middles[k] for k in middles if "upper leg" in COARSE_PART_NAMES[k]]
        return middles[region] - np.mean(legs, 0) if legs else None
    side, limb = name.split(" ", 1)
    parent = _PARENT[limb]
    parent = parent if parent == "torso" else f"{side} {parent}"
    found = middles.get(COARSE_PART_NAMES.index(parent))
    return None if found is None else found - middles[region]


def _facing(middles: dict[int, np.ndarray]) -> float:
    """Positive if the person is seen from the front, negative from the back, 0 if unknown."""
    up = _up(middles, 1)
    up = np.array([0.0, -1]) if up is None else up
    right = np.array([-up[1], up[0]])
    shifts = [
        (middles[k] - middles[int(COARSE_MIRROR[k])]) @ right
        for k in middles
        if COARSE_PART_NAMES[k].startswith("left") and int(COARSE_MIRROR[k]) in middles
    ]
    return float(np.sum(shifts)) if shifts else 0.0


def _degrees(up: np.ndarray) -> float:
    """Angle of a direction in the image: degrees clockwise from up, -180 to 180."""
    return float(np.degrees(np.arctan2(up[0], -up[1])))
