"""How a person's regions are turned in the picture: which view shows them, and which way is up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.rle import paint_part_masks
from ..surface.parts import ANNOTATION_SIDE, COARSE_MIRROR, COARSE_PART_NAMES, NUM_COARSE_PARTS
from .views import NUM_VIEWS, View

#: Points with a known place on the body that a camera is fitted to, at the least.
FEWEST = 5
#: The region that a region hangs on; the upper end of its views points there.
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
    """How the views of a region are to be shown.

    Attributes:
        best: number of the view that looks at the region from where the picture's camera is.
        rolls: for each view, degrees clockwise that bring its upright to where it is in the
            picture.
        is_known: whether there was anything to go by.
    """

    best: int
    rolls: tuple[float, ...]
    is_known: bool


def turn_from_points(
    views: tuple[View, ...], pixels: np.ndarray, places: np.ndarray
) -> Turn | None:
    """The turn of a region some of whose points are known.

    Args:
        views: of the region.
        pixels: (P, 2) of the picture. places: (P, 3) on the body, metres.

    Returns:
        None where the points are too few, or lie in a line.
    """
    if len(pixels) < FEWEST:
        return None
    flat, solid = pixels - pixels.mean(0), places - places.mean(0)
    if np.linalg.svd(flat, compute_uv=False)[-1] < 1e-6:
        return None
    # Points of one side of a region are almost in a plane: a little of everything keeps the
    # unseen direction from being fitted to mistakes.
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
    """The turn of a region from where the others lie.

    Right limbs left of left ones mean that the person is seen from the front.

    Args:
        regions: ``dp_masks``. box: x, y, width, height, pixels of the picture.
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
    """Middle (2,) of each region that is there, pixels of the picture."""
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
    """Where the upper end of a region points in the picture; None if nothing tells."""
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
    """Over 0 where the person is seen from the front, under 0 from the back, 0 where unknown."""
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
    """Degrees clockwise from upwards, -180 to 180, of a direction of the picture."""
    return float(np.degrees(np.arctan2(up[0], -up[1])))
