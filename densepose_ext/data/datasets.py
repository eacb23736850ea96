"""The public datasets with dense pose, under the names the official project gave them.

Images and annotations are looked for under ``$DETECTRON2_DATASETS`` (default: ./datasets), when the
dataset is used and not before.
"""

from __future__ import annotations

import os

from detectron2.data import DatasetCatalog

from .coco import register_densepose_coco

# name: (images, annotations), below the root of all datasets
_DATASETS = {
    "densepose_coco_2014_train": (
        "coco/train2014",
        "coco/annotations/densepose_train2014.json",
    ),
    "densepose_coco_2014_minival": (
        "coco/val2014",
        "coco/annotations/densepose_minival2014.json",
    ),
    "densepose_coco_2014_minival_100": (
        "coco/val2014",
        "coco/annotations/densepose_minival2014_100.json",
    ),
    "densepose_coco_2014_valminusminival": (
        "coco/val2014",
        "coco/annotations/densepose_valminusminival2014.json",
    ),
    "posetrack2017_train": (
        "posetrack2017/posetrack_data_2017",
        "posetrack2017/densepose_posetrack_train2017.json",
    ),
    "posetrack2017_val": (
        "posetrack2017/posetrack_data_2017",
        "posetrack2017/densepose_posetrack_val2017.json",
    ),
}


def register_public_datasets() -> None:
    """Register the public datasets, those already registered excepted."""
    root = os.path.expanduser(os.environ.get("DETECTRON2_DATASETS", "datasets"))
    for name, (images, json_file) in _DATASETS.items():
        if name not in DatasetCatalog:
            register_densepose_coco(
                name,
                os.path.join(root, json_file),
                os.path.join(root, images),
                surface="smpl",
            )
