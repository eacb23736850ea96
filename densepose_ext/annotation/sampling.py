"""Samples the points to annotate: at most 14 per region (the paper, section 2.2)."""

from __future__ import annotations

import cv2
import numpy as np

from ..data.rle import paint_part_masks
from ..data.spread_points import spread
from ..surface.parts import ANNOTATION_SIDE, NUM_COARSE_PARTS

#: Maximum number of points per region.
POINTS_PER_REGION = 14
#: Minimum area per point, in pixels of the image and without the region's border.
PIXELS_PER_POINT = 8


def sample_points(regions: list, box: list[float], seed: int = 0) -> list[tuple[float, float, int]]:
    """Points spread over the regions by k-means.

    Args:
        regions: ``dp_masks``.
        box: x, y, width, height of the person, in pixels of the image.
        seed: of the k-means; the same arguments give the same points.

    Returns:
        (x, y, region 1..14) in pixels of the image, ordered by region, then from top to bottom.
    """
    painted = paint_part_masks(regions)
    x, y, width, height = box
    # The masks stretch the box to a square: undo it, so that distances are those of the image.
    step = max(width, height) / ANNOTATION_SIDE
    columns, rows = max(round(width / step), 1), max(round(height / step), 1)
    painted = cv2.resize(painted, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT)
    around = np.ones((3, 3), np.uint8)
    is_inner = cv2.erode(painted, around) == cv2.dilate(painted, around)
    points = []
    for region in range(1, NUM_COARSE_PARTS + 1):
        pixels = np.argwhere((painted == region) & is_inner)
        if not len(pixels):  # a sliver: all of it is border
            pixels = np.argwhere(painted == region)
        area = len(pixels) * (width / columns) * (height / rows)
        count = min(POINTS_PER_REGION, int(np.ceil(area / PIXELS_PER_POINT)))
        if not count:
            continue
        chosen = spread(np.random.default_rng([seed, region]), pixels, count)
        chosen = chosen[np.lexsort((chosen[:, 1], chosen[:, 0]))]
        for row, column in chosen[:, :2]:
            place = x + (column + 0.5) * width / columns, y + (row + 0.5) * height / rows
            points.append((round(float(place[0]), 2), round(float(place[1]), 2), region))
    return points
