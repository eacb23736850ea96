"""The reader of one COCO annotation: box, area, mask, keypoints and dense pose of a person."""

from __future__ import annotations

from ..surface.dense_target import DENSE_KEY
from .annotations import AnnotationError, read_points
from .left_out import LeftOut
from .rle import part_mask_runs
from .segmentation import mask_area, read_segmentation
from .values import number, whole_number

#: Keypoints of a person in COCO.
NUM_KEYPOINTS = 17


def read_annotation(annotation: dict, image: dict, where: str, left_out: LeftOut) -> dict:
    """A validated annotation, as training and evaluation use it.

    An invalid mask, keypoints or dense pose is left out and counted.

    Args:
        annotation: from the JSON.
        image: its validated image.
        where: "annotation 7 of image 5", for ``left_out``.

    Returns:
        COCO's keys: bbox (XYWH floats), area, iscrowd, num_keypoints and, if annotated,
        segmentation (polygons or a compressed RLE), keypoints (51 numbers, pixels counted from 0),
        ``dp_*`` as returned by :func:`read_points` and :func:`part_mask_runs`, and dp_iuv
        unchanged.

    Raises:
        AnnotationError: the person cannot be used at all.
    """
    record = {
        "bbox": read_box(annotation.get("bbox"), image),
        "iscrowd": _crowd(annotation.get("iscrowd")),
    }
    height, width = image["height"], image["width"]
    # COCO has an empty list for people without a mask or without keypoints.
    if annotation.get("segmentation"):
        try:
            record["segmentation"] = read_segmentation(annotation["segmentation"], height, width)
        except ValueError as error:
            left_out.add("segmentations", where, str(error))
    record["area"] = _area(annotation.get("area"), record, image)
    if annotation.get("keypoints"):
        try:
            record["keypoints"] = _keypoints(annotation["keypoints"])
        except AnnotationError as error:
            left_out.add("keypoints", where, str(error))
    record["num_keypoints"] = _visible(annotation.get("num_keypoints"), record.get("keypoints"))
    try:
        runs = part_mask_runs(annotation.get("dp_masks"))
        if runs is not None:
            record["dp_masks"] = runs
        record |= read_points(annotation) or {}
    except ValueError as error:
        left_out.add("dense poses", where, str(error))
    target = annotation.get(DENSE_KEY)
    if isinstance(target, str):
        record[DENSE_KEY] = target
    elif target is not None:
        left_out.add("dense targets", where, f"{DENSE_KEY} = {target}, expected a file")
    return record


def read_box(given: object, image: dict) -> list[float]:
    """A box as XYWH floats. (Detectron2 scales boxes in place, and integers would be truncated.)

    Args:
        given: the value of ``bbox``.
        image: with width and height.

    Raises:
        AnnotationError: it is not a box, is empty, or lies outside the image.
    """
    box = [number(value) for value in given] if isinstance(given, list) else []
    if len(box) != 4 or None in box:
        raise AnnotationError(f"bbox = {given}, expected four finite numbers")
    x, y, w, h = box
    if w <= 0 or h <= 0:
        raise AnnotationError(f"bbox = {given}, expected a positive width and height")
    width, height = image["width"], image["height"]
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise AnnotationError(f"bbox = {given} lies outside its image of {width} x {height}")
    return [float(value) for value in box]


def _crowd(given: object) -> int:
    if given is None:
        return 0
    crowd = int(given) if isinstance(given, bool) else number(given)
    if crowd not in (0, 1):
        raise AnnotationError(f"iscrowd = {given!r}, expected 0 or 1")
    return int(crowd)


def _area(given: object, record: dict, image: dict) -> float:
    """The given area, or else that of the mask, or else that of the box."""
    area = number(given)
    if area is not None and area >= 0:
        return float(area)
    if "segmentation" in record:
        return mask_area(record["segmentation"], image["height"], image["width"])
    return record["bbox"][2] * record["bbox"][3]


def _keypoints(given: object) -> list[int | float]:
    expected = 3 * NUM_KEYPOINTS
    if not isinstance(given, list) or len(given) != expected:
        found = f"{len(given)} values" if isinstance(given, list) else repr(given)
        raise AnnotationError(f"{found}, expected {expected}")
    values = [number(value) for value in given]
    if None in values:
        raise AnnotationError("values that are not finite numbers")
    return values


def _visible(given: object, keypoints: list[int | float] | None) -> int:
    """``num_keypoints``, counted if it is not given."""
    if keypoints is None:
        return 0
    count = whole_number(given)
    return count if count is not None else sum(value > 0 for value in keypoints[2::3])
