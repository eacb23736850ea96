"""Masks of people and detections, kept as windows of the image that they lie in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pycocotools.mask as coco_mask
from scipy.ndimage import zoom

#: Side of the square that a person's box is stretched to in ``dp_masks``.
_SIDE = 256


@dataclass(frozen=True)
class WindowMask:
    """A mask that is False outside a window of the image.

    Attributes:
        x, y: upper left pixel of the window.
        pixels: (h, w) bool.
    """

    x: int
    y: int
    pixels: np.ndarray

    @cached_property
    def area(self) -> int:
        return int(np.count_nonzero(self.pixels))

    def overlap(self, other: WindowMask) -> int:
        """Number of pixels in both masks."""
        x0, y0 = max(self.x, other.x), max(self.y, other.y)
        x1 = min(self.x + self.pixels.shape[1], other.x + other.pixels.shape[1])
        y1 = min(self.y + self.pixels.shape[0], other.y + other.pixels.shape[0])
        if x1 <= x0 or y1 <= y0:
            return 0
        return int(
            np.count_nonzero(
                self.pixels[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x]
                & other.pixels[y0 - other.y : y1 - other.y, x0 - other.x : x1 - other.x]
            )
        )

    def iou(self, other: WindowMask, crowd: bool = False) -> float:
        """Intersection over union; over the own area if the other is a crowd, as in COCO."""
        common = self.overlap(other)
        if not common:
            return 0.0
        return common / (self.area if crowd else self.area + other.area - common)


def paste(pixels: np.ndarray, box: np.ndarray, width: int, height: int) -> WindowMask:
    """A mask over a box, brought to the image.

    It starts at the whole pixel of the box's corner and is clipped to the image and to the whole
    pixel of the box's end, as in the official evaluation.

    Args:
        pixels: (h, w) bool.
        box: xywh.
        width, height: of the image.
    """
    x, y, w, h = (float(value) for value in box)
    x0, y0 = max(int(x), 0), max(int(y), 0)
    x1 = min(int(x + w), width, int(x) + pixels.shape[1])
    y1 = min(int(y + h), height, int(y) + pixels.shape[0])
    window = pixels[y0 - int(y) : max(y1, y0) - int(y), x0 - int(x) : max(x1, x0) - int(x)]
    return WindowMask(x0, y0, window)


def decode(segmentation: list | dict, width: int, height: int) -> np.ndarray:
    """Polygons, or RLE of either kind, as (height, width) bool.

    Raises:
        ValueError: if it is none of these, or an RLE of another size.
    """
    try:
        if isinstance(segmentation, dict):
            if isinstance(segmentation["counts"], list):
                rle = coco_mask.frPyObjects(segmentation, *segmentation["size"])
            else:
                rle = segmentation
            size = [int(length) for length in rle["size"]]
            if size != [height, width]:
                raise ValueError(f"an RLE of {size}; expected {[height, width]}")
        elif any(len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation):
            raise ValueError("a polygon without three points x, y")
        elif segmentation:
            rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
        else:
            return np.zeros((height, width), bool)
        return coco_mask.decode(rle).astype(bool)
    except (KeyError, TypeError) as error:
        raise ValueError(f"neither polygons nor an RLE: {error!r}") from error


def coarse_union(dp_masks: list, box: np.ndarray) -> np.ndarray:
    """Union of the coarse part masks of a person, over the box. (h, w) bool.

    Args:
        dp_masks: RLEs of 256 x 256, the box stretched to a square; empty entries for parts that
            are not there.
        box: xywh.

    Raises:
        ValueError: if an entry is no RLE of that size.
    """
    union = np.zeros((_SIDE, _SIDE))
    for mask in dp_masks:
        if mask:
            union = np.maximum(union, decode(mask, _SIDE, _SIDE))
    _, _, w, h = (float(value) for value in box)
    scale = max(h, 1) / _SIDE, max(w, 1) / _SIDE
    return zoom(union, scale, order=1, prefilter=False) > 0.5


def polygon_union(xs: list, ys: list, width: int, height: int) -> np.ndarray:
    """Union of polygons given as lists of x and of y, as PoseTrack has them. (H, W) bool."""
    if len(xs) != len(ys) or any(len(x) != len(y) for x, y in zip(xs, ys)):
        raise ValueError("as many x as y are expected in each region")
    polygons = [np.stack([x, y], 1).ravel().tolist() for x, y in zip(xs, ys)]
    return decode(polygons, width, height)
