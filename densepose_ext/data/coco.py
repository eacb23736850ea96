"""Datasets in COCO's JSON format with ``dp_*`` keys, for Detectron2."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets.builtin_meta import (
    COCO_PERSON_KEYPOINT_FLIP_MAP,
    COCO_PERSON_KEYPOINT_NAMES,
    KEYPOINT_CONNECTION_RULES,
)
from detectron2.structures import BoxMode

from ..surface.dense_target import DENSE_KEY, SURFACE_KEY
from ..surface.registry import body_of
from .annotation_file import read_annotations
from .annotations import POINT_KEYS, VERTEX_KEYS


def register_densepose_coco(
    name: str,
    json_file: str | os.PathLike,
    image_root: str | os.PathLike,
    *,
    surface: str | os.PathLike,
) -> None:
    """Registers a dataset with Detectron2, under ``name``.

    Args:
        name: for DATASETS.TRAIN and DATASETS.TEST.
        json_file: COCO JSON with ``dp_*`` keys.
        image_root: folder of the images.
        surface: the body that I, U, V refer to: "smpl" for official annotations, "open" for the
            body shipped with the package, or a folder of official files. No default, because
            scoring on the wrong body would go unnoticed.

    Registered again with the same files and surface, the dataset stays as it is.

    Raises:
        ValueError: the name is registered with others.
    """
    json_file, image_root, surface = (
        os.path.expanduser(path) for path in (json_file, image_root, surface)
    )
    files = {"json_file": json_file, "image_root": image_root, "surface": surface}
    if name in DatasetCatalog:
        there = {key: getattr(MetadataCatalog.get(name), key, None) for key in files}
        if there != files:
            raise ValueError(f"dataset {name!r} is registered already, with {there}, not {files}")
        return
    DatasetCatalog.register(
        name, lambda: load_densepose_coco(json_file, image_root, name, surface=surface)
    )
    MetadataCatalog.get(name).set(
        **files,
        evaluator_type="coco",
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

    Invalid annotations are left out, counted and named: see :func:`read_annotations`.

    Args:
        json_file, image_root, surface: as for :func:`register_densepose_coco`.
        dataset_name: if given, ``thing_classes`` and the contiguous ids are set in its metadata.
        categories: category ids of the JSON to keep; None keeps all.
        category_map: category id of the JSON -> category id to replace it with.

    Returns:
        a dict per image: file_name, height, width, image_id, surface, annotations. Annotations
        have the ``dp_*`` of :func:`read_densepose`, in float32, and under ``dp_iuv`` the path of
        their dense target, if any.

    Raises:
        FileNotFoundError, ValueError: the file is missing, is not COCO JSON, or has dense targets
            on another surface.
    """
    file = read_annotations(json_file, image_root).of_categories(categories, category_map)
    if file.dense_surface is not None and body_of(file.dense_surface) != body_of(surface):
        raise ValueError(
            f"{file.path}: info.{SURFACE_KEY} = {file.dense_surface!r}, expected the surface"
            f" {os.fspath(surface)!r} that the dataset is registered with"
        )
    class_of = {category: number for number, category in enumerate(sorted(file.categories))}
    if dataset_name is not None:
        MetadataCatalog.get(dataset_name).set(
            thing_classes=[file.categories[category] for category in class_of],
            thing_dataset_id_to_contiguous_id=class_of,
        )
    for image in file.images.values():
        if not image["path"]:
            raise ValueError(f"{file.path}: image {image['id']} has no 'file_name'")
    images = {
        key: {
            "file_name": image["path"],
            "height": image["height"],
            "width": image["width"],
            "image_id": key,
            "surface": surface,
            "annotations": [],
        }
        for key, image in file.images.items()
    }
    for person in file.people:
        record = _record(person, class_of)
        if DENSE_KEY in person:
            record[DENSE_KEY] = os.path.join(os.path.dirname(file.path), person[DENSE_KEY])
        images[person["image_id"]]["annotations"].append(record)
    return list(images.values())


def _record(person: dict, class_of: Mapping[int, int]) -> dict:
    """A person in Detectron2's format, with points in float32: enough for training."""
    record = {
        "id": person["id"],
        "iscrowd": person["iscrowd"],
        "bbox": list(person["bbox"]),
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": class_of[person["category_id"]],
    }
    if "segmentation" in person:
        record["segmentation"] = person["segmentation"]
    if "keypoints" in person:
        # COCO has pixel indices, Detectron2 coordinates, with pixel centres at +0.5.
        record["keypoints"] = [
            value + 0.5 if n % 3 < 2 else value for n, value in enumerate(person["keypoints"])
        ]
    for key in (*POINT_KEYS, *VERTEX_KEYS):
        if key in person:
            value = person[key]
            is_double = isinstance(value, np.ndarray) and value.dtype == np.float64
            record[key] = value.astype(np.float32) if is_double else value
    # Masks without points are not trained on.
    if "dp_x" in person and "dp_masks" in person and person["dp_masks"].size:
        record["dp_masks"] = person["dp_masks"]
    return record
