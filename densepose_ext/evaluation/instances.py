"""Detectron2's evaluation of boxes, masks and keypoints, on annotations from our reader."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pycocotools.mask as coco_mask
from detectron2.data import MetadataCatalog
from detectron2.evaluation import COCOEvaluator

from ..data.annotation_file import AnnotationFile, read_annotations
from ..data.annotation_record import NUM_KEYPOINTS

logger = logging.getLogger(f"detectron2.{__name__}")


class InstanceEvaluator(COCOEvaluator):
    """COCOEvaluator for every file that can be trained on.

    pycocotools fails on annotations without ``area``, ``iscrowd`` or ``segmentation``, on invalid
    boxes, and so on, so it gets a copy with the annotations as our reader returns them. Masks and
    keypoints are scored if anybody has them. Detections of classes that the dataset lacks are left
    out, as by :class:`DensePoseEvaluator`: a model may have been trained on more.
    """

    def __init__(
        self,
        dataset_name: str,
        *args,
        categories: Sequence[int] | None = None,
        category_map: Mapping[int, int] | None = None,
        **kwargs,
    ):
        """
        Args:
            dataset_name: registered, with ``json_file`` in its metadata.
            categories, category_map: ids to keep, and id -> id to replace it with, as in training.
            args, kwargs: as for COCOEvaluator.

        Raises:
            ValueError, OSError: the annotations cannot be used.
        """
        metadata = MetadataCatalog.get(dataset_name)
        if not metadata.get("json_file"):
            raise ValueError(
                f"the metadata of dataset {dataset_name!r} has no json_file to score it from;"
                " register_densepose_coco sets it"
            )
        file = read_annotations(metadata.json_file, metadata.get("image_root", ""))
        file = file.of_categories(categories, category_map)
        with _registered_copy(coco_content(file)) as copy:
            super().__init__(copy, *args, **kwargs)
        self._metadata = metadata
        self._number_of = image_numbers(file)
        self._known_tasks = {"bbox"}
        if any("segmentation" in person for person in file.people):
            self._known_tasks.add("segm")
        if any("keypoints" in person for person in file.people):
            self._known_tasks.add("keypoints")
        unmasked = sum("segmentation" not in person for person in file.people)
        if unmasked and "segm" in self._known_tasks:
            logger.warning(
                f"{file.path}: {unmasked} of {len(file.people)} people have no mask; if masks are"
                " scored, they count as missed"
            )

    def process(self, inputs: Sequence[Mapping], outputs: Sequence[Mapping]) -> None:
        inputs = [{**given, "image_id": self._number_of[given["image_id"]]} for given in inputs]
        super().process(inputs, outputs)

    def _eval_predictions(self, predictions: list[dict], img_ids=None) -> None:
        of_classes = self._metadata.get("thing_dataset_id_to_contiguous_id")
        if of_classes is not None:
            classes = set(of_classes.values())
            predictions = [
                {
                    **image,
                    "instances": [d for d in image["instances"] if d["category_id"] in classes],
                }
                for image in predictions
            ]
        super()._eval_predictions(predictions, img_ids)

    def _tasks_from_predictions(self, predictions: list[dict]) -> list[str]:
        predicted = super()._tasks_from_predictions(predictions)
        return [task for task in predicted if task in self._known_tasks]


def image_numbers(file: AnnotationFile) -> dict[int | str, int]:
    """The id that each image has in :func:`coco_content`: its own if all ids are numbers."""
    if all(isinstance(key, int) for key in file.images):
        return {key: key for key in file.images}
    return {key: number for number, key in enumerate(file.images, start=1)}


def coco_content(file: AnnotationFile) -> dict:
    """Annotations with all keys that pycocotools uses, as JSON values.

    Annotations are numbered from 1, since pycocotools takes the id 0 as "no match". People without
    a mask get an empty one; people without keypoints get invisible ones, which are not scored.
    """
    numbers = image_numbers(file)
    people = []
    for number, person in enumerate(file.people, start=1):
        image = file.images[person["image_id"]]
        people.append(
            {
                "id": number,
                "image_id": numbers[person["image_id"]],
                "segmentation": _segmentation(person, image["height"], image["width"]),
                "keypoints": person.get("keypoints", [0] * 3 * NUM_KEYPOINTS),
                **{
                    key: person[key]
                    for key in ("category_id", "bbox", "area", "iscrowd", "num_keypoints")
                },
            }
        )
    return {
        "info": {},
        "categories": [{"id": key, "name": name} for key, name in file.categories.items()],
        "images": [
            {"id": numbers[key], "width": image["width"], "height": image["height"]}
            for key, image in file.images.items()
        ],
        "annotations": people,
    }


def _segmentation(person: dict, height: int, width: int) -> list | dict:
    """Polygons, or a compressed RLE with a string."""
    segmentation = person.get("segmentation")
    if isinstance(segmentation, list):
        return segmentation
    if segmentation is None:
        nothing = {"size": [height, width], "counts": [height * width]}
        segmentation = coco_mask.frPyObjects(nothing, height, width)
    counts = segmentation["counts"]
    return {
        "size": [height, width],
        "counts": counts.decode() if isinstance(counts, bytes) else counts,
    }


@contextmanager
def _registered_copy(content: dict) -> Iterator[str]:
    """Name of a temporary dataset with this content."""
    name = f"densepose_ext_copy_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "annotations.json")
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        MetadataCatalog.get(name).set(json_file=path)
        try:
            yield name
        finally:
            MetadataCatalog.remove(name)
