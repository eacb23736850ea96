"""The instance mask of a COCO annotation, checked.

Detectron2 hands it to pycocotools as it is, which dies of some mistakes and reads memory that was
never written at others, and does so in a worker in the middle of a training run.
"""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco_mask

from .rle import parse_runs


def read_segmentation(segmentation, height: int, width: int) -> list | dict:
    """A mask in one of the two forms that Detectron2's mapper takes.

    Args:
        segmentation: under that key in the JSON: polygons, or an RLE of either kind.
        height, width: of the image.

    Returns:
        polygons, each of three points or more; or a compressed RLE of the image's size.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if isinstance(segmentation, list):
        return read_polygons(segmentation)
    if not isinstance(segmentation, dict):
        raise ValueError(f"a {type(segmentation).__name__}, expected polygons or an RLE")

    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ValueError(f"an RLE of size {size}, its image has {[height, width]}")
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
    """Those of three points or more, each a list of x and y in turn.

    Raises:
        ValueError: there is none.
    """
    good = [polygon for polygon in polygons if _is_polygon(polygon)]
    if not good:
        raise ValueError("no polygon of three points or more")
    return good


def mask_area(segmentation: list | dict, height: int, width: int) -> float:
    """Pixels of a mask that :func:`read_segmentation` has returned."""
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
