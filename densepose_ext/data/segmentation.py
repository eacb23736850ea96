"""The reader of the instance mask of a COCO annotation.

Detectron2 passes masks to pycocotools unchecked, which crashes on some mistakes and reads
uninitialized memory on others: in a worker, in the middle of a training run.
"""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco_mask

from .rle import parse_runs


def read_segmentation(segmentation, height: int, width: int) -> list | dict:
    """A mask in one of the two formats that Detectron2's mapper supports.

    Args:
        segmentation: polygons, or an RLE, compressed or not.
        height, width: of the image.

    Returns:
        polygons of at least three points; or a compressed RLE of the image's size.

    Raises:
        ValueError: it is invalid; the message says why.
    """
    if isinstance(segmentation, list):
        return read_polygons(segmentation)
    if not isinstance(segmentation, dict):
        raise ValueError(f"a {type(segmentation).__name__}, expected polygons or an RLE")

    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ValueError(f"an RLE of size {size}, expected that of its image, {[height, width]}")
    if isinstance(counts, list):
        runs = np.asarray(counts) if all(type(run) is int for run in counts) else None
        if runs is None or runs.dtype.kind != "i":
            raise ValueError("an RLE with counts that are not whole numbers")
    elif isinstance(counts, (str, bytes)):
        runs, _ = parse_runs([counts.encode() if isinstance(counts, str) else counts])
    else:
        raise ValueError("an RLE without counts")
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"an RLE with runs that do not fill {width} x {height} pixels")
    if isinstance(counts, list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return segmentation


def read_polygons(polygons: list) -> list[list[float]]:
    """The polygons of at least three points, each a list of alternating x and y.

    Raises:
        ValueError: there is none.
    """
    good = [polygon for polygon in polygons if _is_polygon(polygon)]
    if not good:
        raise ValueError("no polygon of three points or more")
    return good


def mask_area(segmentation: list | dict, height: int, width: int) -> float:
    """Area, in pixels, of a mask returned by :func:`read_segmentation`."""
    if isinstance(segmentation, list):
        segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    return float(coco_mask.area(segmentation))


def _is_polygon(polygon) -> bool:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        return False
    try:
        points = np.asarray(polygon)
    except ValueError:
        return False
    return points.ndim == 1 and points.dtype.kind in "iuf" and bool(np.isfinite(points).all())
