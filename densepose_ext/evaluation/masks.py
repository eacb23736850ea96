"""Masks of people and detections, stored as windows in their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pycocotools.mask as coco_mask

from ..surface.parts import ANNOTATION_SIDE


@dataclass(frozen=True)
class WindowMask:
    """A mask of an image, False outside a window.

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
    """A mask over a box, as a mask of the image.

    As in the official evaluation, the corners of the box are truncated to whole pixels, and the
    mask is clipped to the box and to the image.

    Args:
        pixels: (h, w) bool.
        box: xywh.
        width, height: of the image.
    """
    x, y = int(box[0]), int(box[1])
    rows, columns = _window(pixels.shape, box, width, height)
    return WindowMask(
        x + columns.start,
        y + rows.start,
        pixels[rows.start : rows.stop, columns.start : columns.stop],
    )


def stretch(square: np.ndarray, box: np.ndarray, width: int, height: int) -> WindowMask:
    """A mask of 256 x 256 cells over a box, as a mask of the image.

    Equals that of the official evaluation to the pixel: ``scipy.ndimage.zoom(square, box size /
    256, order=1, prefilter=False) > .5``, then :func:`paste`. Only the part inside the image is
    computed, since a box may be far larger.

    Args:
        square: (256, 256) bool.
        box: xywh.
        width, height: of the image.
    """
    # Rounded as by zoom.
    size = [round(ANNOTATION_SIDE * (max(float(n), 1) / ANNOTATION_SIDE)) for n in box[:1:-1]]
    window = _window(size, box, width, height)
    (top, bottom), (up, down) = _taps(window[0], size[0])
    (left, right), (before, after) = _taps(window[1], size[1])
    values = square[np.ix_(top, left)] * up[:, None] * before
    values += square[np.ix_(top, right)] * up[:, None] * after
    values += square[np.ix_(bottom, left)] * down[:, None] * before
    values += square[np.ix_(bottom, right)] * down[:, None] * after
    x, y = int(box[0]) + window[1].start, int(box[1]) + window[0].start
    return WindowMask(x, y, values > 0.5)


def _window(size: Sequence[int], box: np.ndarray, width: int, height: int) -> tuple[range, range]:
    """The rows and columns of a mask of ``size`` (h, w) over a box that lie in the image."""
    x, y, w, h = (float(value) for value in box)

    def span(count: int, start: float, length: float, limit: int) -> range:
        first, end = int(start), min(int(start + length), limit, int(start) + count)
        return range(max(first, 0) - first, max(end, first, 0) - first)

    return span(size[0], y, h, height), span(size[1], x, w, width)


def _taps(pixels: range, count: int) -> tuple[tuple, tuple]:
    """The two of 256 cells between which each of ``count`` pixels lies, and their weights."""
    last = ANNOTATION_SIDE - 1
    position = np.arange(pixels.start, pixels.stop) * (last / (count - 1) if count > 1 else 1.0)
    cell = np.floor(position)
    lower = 1 - (position - cell)
    # zoom takes a last pixel that rounding moves past the last cell as background.
    inside = position <= last
    cell = cell.astype(int)
    cells = np.minimum(cell, last), np.minimum(cell + 1, last)
    return cells, (lower * inside, (1 - lower) * inside)


def decode(segmentation: list | dict, width: int, height: int) -> np.ndarray:
    """Polygons, or a compressed RLE, as (height, width) bool."""
    if isinstance(segmentation, list):
        segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    return coco_mask.decode(segmentation).astype(bool)


def polygon_union(xs: list, ys: list, width: int, height: int) -> np.ndarray:
    """Union of polygons given as lists of x and of y, as PoseTrack has them. (H, W) bool."""
    polygons = [np.stack([x, y], 1).ravel().tolist() for x, y in zip(xs, ys)]
    return decode(polygons, width, height)
