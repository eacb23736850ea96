"""The public datasets with dense pose, under the official project's names.

Images and annotations are expected under ``$DETECTRON2_DATASETS`` (default: ./datasets), and looked
for only when a dataset is used.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.catalog import Metadata

from ..config.official_package import is_official
from ..files.datasets_folder import datasets_folder
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
    **{
        f"densepose_coco_2014_{split}_cse": (
            f"coco/{folder}",
            f"coco_cse/densepose_{annotations}_cse.json",
        )
        for split, folder, annotations in (
            ("train", "train2014", "train2014"),
            ("minival", "val2014", "minival2014"),
            ("minival_100", "val2014", "minival2014_100"),
            ("valminusminival", "val2014", "valminusminival2014"),
        )
    },
    "densepose_chimps": (
        "densepose_chimps/images",
        "densepose_chimps/densepose_chimps_densepose.json",
    ),
    **{
        f"densepose_chimps_cse_{split}": (
            "densepose_chimps/images",
            f"densepose_chimps/densepose_chimps_cse_{split}.json",
        )
        for split in ("train", "val")
    },
    # Images of LVIS are in coco_train2017 and coco_val2017, as their coco_url says.
    **{
        f"densepose_lvis_v1_{name}": ("coco_", f"lvis/densepose_lvis_v1_{name}.json")
        for name in ("ds1_train_v1", "ds1_val_v1", "ds2_train_v1", "ds2_val_v1")
    },
    "densepose_lvis_v1_ds1_val_animals_100": (
        "coco_",
        "lvis/densepose_lvis_v1_val_animals_100_v2.json",
    ),
    **{
        f"lvis_v05_{split}": (f"coco/{split}2017", f"lvis/lvis_v0.5_plus_dp_{split}.json")
        for split in ("train", "val")
    },
    **{
        f"base_coco_2017_{name}": (
            f"coco/{folder}",
            f"coco/annotations/instances_{annotations}.json",
        )
        for name, folder, annotations in (
            ("train", "train2017", "train2017"),
            ("val", "val2017", "val2017"),
            ("val_100", "val2017", "val2017_100"),
        )
    },
}

# name: a list of videos, one path in its folder a line
_VIDEOS = {"chimpnsee": "chimpnsee/cdna.eva.mpg.de/video_list.txt"}


def register_public_datasets() -> None:
    """Registers the public datasets. A second call changes nothing.

    The official package may register the same names, before or after. The catalogue then holds its
    functions, for its own loaders; this package reads datasets by their metadata (see
    ``data.build.load_registered``), whose paths stay those under ``$DETECTRON2_DATASETS``.
    """
    root = datasets_folder()
    for name, (images, json_file) in _DATASETS.items():
        theirs = DatasetCatalog.pop(name, None)
        if theirs is not None and not is_official(theirs):
            DatasetCatalog[name] = theirs
            continue
        known = vars(MetadataCatalog.pop(name)) if name in MetadataCatalog else {}
        MetadataCatalog[name] = _SharedMetadata(name=name)
        register_densepose_coco(
            name, os.path.join(root, json_file), os.path.join(root, images), surface="smpl"
        )
        if theirs is not None:
            DatasetCatalog[name] = theirs
            MetadataCatalog.get(name).set(**{k: v for k, v in known.items() if k != "name"})
    for name, videos in _VIDEOS.items():
        if name not in DatasetCatalog:
            DatasetCatalog[name] = functools.partial(_listed, os.path.join(root, videos))
    _let_the_official_package_follow()


def _listed(path: str) -> list[dict]:
    """The videos of a list, for bootstrapping."""
    with open(path, encoding="utf-8") as stream:
        names = [line.strip() for line in stream]
    folder = os.path.dirname(path)
    return [{"file_name": os.path.join(folder, name)} for name in names if name]


class _SharedMetadata(Metadata):
    """Metadata whose paths cannot be changed once set."""

    def __setattr__(self, key: str, value) -> None:
        if not (key in ("json_file", "image_root") and key in vars(self)):
            super().__setattr__(key, value)


def _let_the_official_package_follow() -> None:
    register = DatasetCatalog.register
    if hasattr(register, "__wrapped__"):
        return

    @functools.wraps(register)
    def register_or_replace(name: str, func: Callable) -> None:
        if (name in _DATASETS or name in _VIDEOS) and is_official(func):
            DatasetCatalog.pop(name, None)
        register(name, func)

    DatasetCatalog.register = register_or_replace
