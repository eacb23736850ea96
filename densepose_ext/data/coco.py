"""Datasets in COCO's JSON format with ``dp_*`` keys: reading, checking, registering."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets.builtin_meta import (
    COCO_PERSON_KEYPOINT_FLIP_MAP,
    COCO_PERSON_KEYPOINT_NAMES,
    KEYPOINT_CONNECTION_RULES,
)
from detectron2.structures import BoxMode
from detectron2.utils.file_io import PathManager

from .annotations import AnnotationError, read_densepose
from .segmentation import read_segmentation

logger = logging.getLogger(f"detectron2.{__name__}")

_NUM_KEYPOINTS = len(COCO_PERSON_KEYPOINT_NAMES)
_ID = (int, str)
_TYPE_NAMES = {_ID: "a number or a string", int: "a whole number", str: "a string"}


def register_densepose_coco(
    name: str,
    json_file: str | os.PathLike,
    image_root: str | os.PathLike,
    *,
    surface: str | os.PathLike,
) -> None:
    """Register a dataset with Detectron2, under ``name``.

    Args:
        name: for DATASETS.TRAIN and DATASETS.TEST.
        json_file: COCO JSON with ``dp_*`` keys.
        image_root: folder of the images.
        surface: the body that I, U, V refer to: "smpl" for official annotations, "open" for the
            body that comes with the package, or a folder of official files. It has no default,
            since scoring on the wrong body would go unnoticed.
    """
    json_file, image_root, surface = (os.fspath(path) for path in (json_file, image_root, surface))
    DatasetCatalog.register(
        name, lambda: load_densepose_coco(json_file, image_root, name, surface=surface)
    )
    MetadataCatalog.get(name).set(
        json_file=json_file,
        image_root=image_root,
        evaluator_type="coco",
        surface=surface,
        keypoint_names=COCO_PERSON_KEYPOINT_NAMES,
        keypoint_flip_map=COCO_PERSON_KEYPOINT_FLIP_MAP,
        keypoint_connection_rules=KEYPOINT_CONNECTION_RULES,
    )


def load_densepose_coco(
    json_file: str,
    image_root: str,
    dataset_name: str | None = None,
    *,
    surface: str,
    categories: Sequence[int] | None = None,
    category_map: Mapping[int, int] | None = None,
) -> list[dict]:
    """A dataset in Detectron2's format, with dense pose.

    An annotation that cannot be used is left out; a dense pose, a mask or keypoints that cannot be
    used are left out of their annotation. One warning counts them by reason, with an example.

    Args:
        json_file, image_root, surface: as for :func:`register_densepose_coco`.
        dataset_name: if given, ``thing_classes`` and the contiguous ids are set in its metadata.
        categories: category ids of the JSON to keep; None keeps all.
        category_map: category id of the JSON -> category id to take it for.

    Returns:
        a dict for each image: file_name, height, width, image_id, surface, annotations; an
        annotation has what :func:`read_densepose` gives under ``dp_*``.

    Raises:
        FileNotFoundError, ValueError: the file is missing, or is not COCO JSON.
    """
    contents = _read_json(json_file)
    names = {
        c["id"]: str(c.get("name", c["id"]))
        for c in _records(contents, "categories", json_file, {"id": int})
    }
    mapped = {int(k): int(v) for k, v in (category_map or {}).items()}
    kept = set(names if categories is None else (int(c) for c in categories))
    for key, ids in (("categories to keep", kept), ("mapped categories", mapped.values())):
        if not set(ids) <= set(names):
            raise ValueError(f"{json_file}: {key} {sorted(ids)}, the file has {sorted(names)}")
    taken_for = {category: mapped.get(category, category) for category in kept}
    class_of = {category: number for number, category in enumerate(sorted({*taken_for.values()}))}
    if dataset_name is not None:
        MetadataCatalog.get(dataset_name).set(
            thing_classes=[names[category] for category in class_of],
            thing_dataset_id_to_contiguous_id=class_of,
        )

    images = {}
    for image in _records(
        contents, "images", json_file, {"id": _ID, "file_name": str, "height": int, "width": int}
    ):
        if image["id"] in images:
            raise ValueError(f"{json_file}: two images have the id {image['id']}")
        images[image["id"]] = {
            "file_name": os.path.join(image_root, image["file_name"]),
            "height": image["height"],
            "width": image["width"],
            "image_id": image["id"],
            "surface": surface,
            "annotations": [],
        }

    left_out = _LeftOut(json_file)
    for annotation in _records(
        contents, "annotations", json_file, {"id": _ID, "image_id": _ID, "category_id": int}
    ):
        category = annotation["category_id"]
        if category not in names:
            left_out.add("annotations", annotation, f"category_id {category} is not in the file")
            continue
        if category not in kept:
            continue
        if annotation["image_id"] not in images:
            left_out.add("annotations", annotation, "its image is not in the file")
            continue
        image = images[annotation["image_id"]]
        reason = _wrong_box(annotation.get("bbox"), image)
        if reason:
            left_out.add("annotations", annotation, reason)
            continue
        image["annotations"].append(
            _record(annotation, class_of[taken_for[category]], image, left_out)
        )
    left_out.report()
    return list(images.values())


def _record(annotation: dict, class_number: int, image: dict, left_out: _LeftOut) -> dict:
    record = {
        "id": annotation["id"],
        "iscrowd": annotation.get("iscrowd", 0),
        # Detectron2 scales boxes in place, and those of whole numbers would stay whole.
        "bbox": [float(value) for value in annotation["bbox"]],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": class_number,
    }
    # COCO writes an empty list for somebody without a mask, and without keypoints.
    if annotation.get("segmentation"):
        try:
            record["segmentation"] = read_segmentation(
                annotation["segmentation"], image["height"], image["width"]
            )
        except ValueError as error:
            left_out.add("segmentations", annotation, str(error))
    if annotation.get("keypoints"):
        try:
            record["keypoints"] = _keypoints(annotation["keypoints"])
        except ValueError as error:
            left_out.add("keypoints", annotation, str(error))
    try:
        record.update(read_densepose(annotation) or {})
    except AnnotationError as error:
        left_out.add("dense poses", annotation, str(error))
    return record


def _keypoints(keypoints) -> list[float]:
    """COCO's keypoints are numbers of pixels, Detectron2's are positions: centres at +0.5."""
    expected = 3 * _NUM_KEYPOINTS
    if not isinstance(keypoints, list) or len(keypoints) != expected:
        found = f"{len(keypoints)} values" if isinstance(keypoints, list) else repr(keypoints)
        raise ValueError(f"{found}, expected {expected}")
    if not all(map(_is_number, keypoints)):
        raise ValueError("values that are not finite numbers")
    return [value + 0.5 if n % 3 < 2 else value for n, value in enumerate(keypoints)]


def _wrong_box(box, image: dict) -> str | None:
    """What is wrong with a box XYWH, if anything."""
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return f"bbox = {box}, expected four finite numbers"
    x, y, w, h = box
    if w <= 0 or h <= 0:
        return f"bbox = {box}, expected a positive width and height"
    if x >= image["width"] or y >= image["height"] or x + w <= 0 or y + h <= 0:
        return f"bbox = {box} lies outside its image of {image['width']} x {image['height']}"
    return None


def _is_number(value) -> bool:
    # Neither NaN nor an integer too large for a float passes the comparison.
    return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max


def _read_json(json_file: str) -> dict:
    try:
        with PathManager.open(json_file) as f:
            contents = json.load(f)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{json_file}: no such annotation file. Datasets are looked for under"
            " $DETECTRON2_DATASETS (default: ./datasets)"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{json_file} is not JSON: {error}") from None
    if not isinstance(contents, dict):
        raise ValueError(f"{json_file}: expected a COCO object, found a {type(contents).__name__}")
    return contents


def _records(
    contents: dict, key: str, json_file: str, fields: Mapping[str, type | tuple[type, ...]]
) -> list[dict]:
    """The records under a key of a COCO file, each with the given fields, of the given types."""
    records = contents.get(key)
    if not isinstance(records, list):
        raise ValueError(f"{json_file} is not in COCO format: no list {key!r}")
    for number, record in enumerate(records):
        for field, kind in fields.items():
            if not isinstance(record, dict) or field not in record:
                raise ValueError(f"{json_file}: {key}[{number}] has no {field!r}")
            if not isinstance(record[field], kind):
                raise ValueError(
                    f"{json_file}: {key}[{number}] has {field!r} = {record[field]!r}, expected"
                    f" {_TYPE_NAMES[kind]}"
                )
    return records


class _LeftOut:
    """Counts what a file has that cannot be used."""

    def __init__(self, json_file: str):
        self.json_file = json_file
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, kind: str, annotation: dict, reason: str) -> None:
        self.counts[kind] += 1
        self.examples.setdefault(
            kind, f"annotation {annotation['id']} of image {annotation['image_id']}: {reason}"
        )

    def report(self) -> None:
        for kind, count in self.counts.items():
            logger.warning(
                f"{self.json_file}: left out {count} {kind} that cannot be used; the first is"
                f" {self.examples[kind]}"
            )
