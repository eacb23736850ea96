"""The data loaders of a config."""

from __future__ import annotations

import logging
import os

import numpy as np
import torch.utils.data
from detectron2.config import CfgNode
from detectron2.data import (
    DatasetCatalog,
    MetadataCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
)
from detectron2.data.build import filter_images_with_few_keypoints
from detectron2.utils.file_io import PathManager

from ..surface.registry import get_surface
from .annotations import has_densepose
from .coco import load_densepose_coco
from .mapper import DensePoseDatasetMapper

logger = logging.getLogger(__name__)


def get_densepose_dataset(cfg: CfgNode, name: str) -> list[dict]:
    """A registered dataset, with the categories that the config wants.

    DATASETS.WHITELISTED_CATEGORIES and DATASETS.CATEGORY_MAPS apply to datasets registered with
    ``register_densepose_coco``.

    Raises:
        ValueError: the dataset is empty.
    """
    categories = cfg.DATASETS.WHITELISTED_CATEGORIES.get(name)
    category_map = cfg.DATASETS.CATEGORY_MAPS.get(name)
    if categories is None and category_map is None:
        dataset = DatasetCatalog.get(name)
    else:
        metadata = MetadataCatalog.get(name)
        dataset = load_densepose_coco(
            metadata.json_file,
            metadata.image_root,
            name,
            surface=metadata.surface,
            categories=categories,
            category_map=category_map,
        )
    if not dataset:
        raise ValueError(f"dataset {name!r} has no images")
    return dataset


def build_densepose_train_loader(cfg: CfgNode, mapper=None) -> torch.utils.data.DataLoader:
    """Training images of a config, for ever.

    Args:
        mapper: default DensePoseDatasetMapper(cfg, True).

    Raises:
        ValueError, FileNotFoundError: before training starts, if no image is left, or a surface
            lacks what flipping needs.
    """
    images = []
    for name in cfg.DATASETS.TRAIN:
        dataset = get_densepose_dataset(cfg, name)
        images += _usable_images(cfg, name, dataset)
        _check_mirror(cfg, name)
    if cfg.MODEL.KEYPOINT_ON and cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE > 0:
        images = filter_images_with_few_keypoints(
            images, cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE
        )
    if not images:
        raise ValueError(f"no training image is left of {', '.join(cfg.DATASETS.TRAIN)}")
    return build_detection_train_loader(
        cfg, dataset=images, mapper=mapper or DensePoseDatasetMapper(cfg, True)
    )


def build_densepose_test_loader(cfg: CfgNode, name: str) -> torch.utils.data.DataLoader:
    """Images of a test dataset, split among the processes."""
    return build_detection_test_loader(
        get_densepose_dataset(cfg, name),
        mapper=DensePoseDatasetMapper(cfg, False),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
    )


def _usable_images(cfg: CfgNode, name: str, dataset: list[dict]) -> list[dict]:
    """Images to train on, with a line in the log about those left out."""
    head = cfg.MODEL.ROI_DENSEPOSE_HEAD
    masks_count = cfg.MODEL.MASK_ON or head.COARSE_SEGM_TRAINED_BY_MASKS
    present = [image for image in dataset if PathManager.exists(image["file_name"])]
    if not present:
        raise FileNotFoundError(
            f"dataset {name!r}: none of its {len(dataset)} images is there, the first is"
            f" {os.path.abspath(dataset[0]['file_name'])}"
        )
    if len(present) < len(dataset):
        logger.warning(f"{name}: left out {len(dataset) - len(present)} images that are missing")

    def trains(person: dict) -> bool:
        if person.get("iscrowd", 0):
            return False
        if head.COARSE_SEGM_TRAINED_BY_MASKS and "segmentation" in person:
            return True
        return has_densepose(person) and not (masks_count and "segmentation" not in person)

    if cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS and cfg.MODEL.DENSEPOSE_ON:
        kept = [image for image in present if any(map(trains, image["annotations"]))]
    else:
        kept = present
    people = [person for image in kept for person in image["annotations"]]
    logger.info(
        f"{name}: {len(kept)} images to train on, {len(people)} people in them,"
        f" {sum(map(has_densepose, people))} with dense pose; left out {len(present) - len(kept)}"
        " images in which nobody has dense pose"
    )
    if masks_count:
        lacking = sum("segmentation" not in p and not p.get("iscrowd", 0) for p in people)
        if lacking:
            logger.warning(f"{name}: left out {lacking} people without a mask: masks are trained")
    return kept


def _check_mirror(cfg: CfgNode, name: str) -> None:
    """Fail now, not at the first flipped image, if a surface's mirror map cannot be had."""
    surface = MetadataCatalog.get(name).get("surface")
    if surface is None or cfg.INPUT.RANDOM_FLIP == "none" or not cfg.MODEL.DENSEPOSE_ON:
        return
    try:
        get_surface(surface).mirror(np.ones(1, dtype=np.int64), np.zeros(1), np.zeros(1))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"dataset {name!r} is flipped in training (INPUT.RANDOM_FLIP ="
            f" {cfg.INPUT.RANDOM_FLIP!r}), for which {error}. Training without flips:"
            " INPUT.RANDOM_FLIP none"
        ) from error
