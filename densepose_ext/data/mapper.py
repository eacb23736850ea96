"""From a dataset's record of an image to what the model trains on."""

from __future__ import annotations

import logging
from functools import cache

import numpy as np
from detectron2.config import CfgNode, configurable
from detectron2.data import DatasetMapper
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from detectron2.structures import BoxMode, Instances

from ..structures import DensePoseAnnotation, DensePoseAnnotationList
from ..surface.registry import get_surface
from .annotations import POINT_KEYS, AnnotationError, densepose_annotation, read_densepose
from .transforms import affine_matrix, transform_densepose

logger = logging.getLogger(f"detectron2.{__name__}")


class DensePoseDatasetMapper(DatasetMapper):
    """Detectron2's mapper, with dense pose, rotations, and colours.

    The instances of a training image get the field ``gt_densepose``
    (:class:`DensePoseAnnotationList`), always, whether anybody has dense pose or not. People
    without masks are left out when masks are trained; people without keypoints have none visible.

    In training an image that cannot be read is reported and skipped (Detectron2 draws another
    one); at inference it is an error.
    """

    @configurable
    def __init__(self, is_train: bool, *, use_densepose: bool = True, **kwargs):
        """
        Args:
            use_densepose: whether to give ``gt_densepose``.
            kwargs: as for DatasetMapper.
        """
        super().__init__(is_train, **kwargs)
        self.use_densepose = use_densepose

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool = True) -> dict:
        arguments = super().from_config(cfg, is_train)
        masks_train_dense_pose = (
            cfg.MODEL.DENSEPOSE_ON and cfg.MODEL.ROI_DENSEPOSE_HEAD.COARSE_SEGM_TRAINED_BY_MASKS
        )
        arguments["use_instance_mask"] = cfg.MODEL.MASK_ON or masks_train_dense_pose
        arguments["use_densepose"] = cfg.MODEL.DENSEPOSE_ON
        if is_train:
            arguments["augmentations"] += _more_augmentations(cfg)
        return arguments

    def __call__(self, dataset_dict: dict) -> dict | None:
        """
        Args:
            dataset_dict: of one image, as ``load_densepose_coco`` gives it.

        Returns:
            a dict with ``image`` (3, H, W) uint8 and, in training, ``instances``; None in training
            if the image cannot be read.

        Raises:
            ValueError: at inference, if the image cannot be read or is not of the declared size.
        """
        try:
            return super().__call__(dataset_dict)
        except (OSError, SyntaxError, utils.SizeMismatchError) as error:
            message = f"{dataset_dict['file_name']}: {error}"
            if not self.is_train:
                raise ValueError(message) from error
            _warn_once(f"skipped in training: {message}")
            return None

    def _transform_annotations(self, dataset_dict: dict, transforms, image_shape) -> None:
        """Called by DatasetMapper: sets ``instances`` in place of ``annotations``."""
        people = [
            person
            for person in dataset_dict.pop("annotations")
            if not person.get("iscrowd", 0)
            and not (self.use_instance_mask and "segmentation" not in person)
        ]
        where = f"{dataset_dict['file_name']}, image {dataset_dict.get('image_id')}"
        instances = self._instances(people, transforms, image_shape)
        if self.use_densepose:
            matrix = affine_matrix(transforms)
            mirror = _mirror_of(dataset_dict.get("surface"), where)
            new_boxes = instances.gt_boxes.tensor.double().numpy()
            dense_poses = []
            for person, new_box in zip(people, new_boxes):
                dense_pose = _dense_pose(person, where)
                if dense_pose is not None:
                    old_box = BoxMode.convert(person["bbox"], person["bbox_mode"], BoxMode.XYXY_ABS)
                    # None for a box that left the image: the division by its size would fail.
                    dense_pose = (
                        transform_densepose(dense_pose, matrix, np.array(old_box), new_box, mirror)
                        if (new_box[2:] > new_box[:2]).all()
                        else None
                    )
                dense_poses.append(dense_pose)
            instances.gt_densepose = DensePoseAnnotationList(dense_poses)
        dataset_dict["instances"] = utils.filter_empty_instances(instances)

    def _instances(self, people: list[dict], transforms, image_shape) -> Instances:
        """Boxes, classes, masks and keypoints, by Detectron2's own functions."""
        transformed = []
        for person in people:
            own = {key: person[key] for key in ("bbox", "bbox_mode", "category_id")}
            if self.use_instance_mask:
                own["segmentation"] = person["segmentation"]
            if self.use_keypoint:
                nothing_visible = np.zeros(3 * len(self.keypoint_hflip_indices))
                own["keypoints"] = person.get("keypoints", nothing_visible)
            transformed.append(
                utils.transform_instance_annotations(
                    own,
                    transforms,
                    image_shape,
                    keypoint_hflip_indices=self.keypoint_hflip_indices,
                )
            )
        # A run length encoding has become a bitmap; polygons can follow, not the other way round.
        is_bitmap = any(isinstance(p.get("segmentation"), np.ndarray) for p in transformed)
        mask_format = "bitmask" if is_bitmap else self.instance_mask_format
        instances = utils.annotations_to_instances(transformed, image_shape, mask_format)
        if self.recompute_boxes and instances.has("gt_masks"):
            instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
        return instances


def _more_augmentations(cfg: CfgNode) -> list[T.Augmentation]:
    """What DensePose's configuration adds to Detectron2's."""
    augmentations: list[T.Augmentation] = []
    angles = list(cfg.INPUT.ROTATION_ANGLES)
    if any(angles):
        augmentations.append(T.RandomRotation(angles, expand=False, sample_style="choice"))
    strength = cfg.INPUT.COLOR_JITTER
    if strength:
        augmentations += [
            jitter(1 - strength, 1 + strength)
            for jitter in (T.RandomBrightness, T.RandomContrast, T.RandomSaturation)
        ]
    return augmentations


def _dense_pose(person: dict, where: str) -> DensePoseAnnotation | None:
    try:
        # Records of our own reader are checked: their points are arrays.
        checked = isinstance(person.get(POINT_KEYS[0]), np.ndarray)
        record = person if checked else read_densepose(person)
        return densepose_annotation(record) if record is not None else None
    except AnnotationError as error:
        _warn_once(f"left out a dense pose: {where}, annotation {person.get('id')}: {error}")
        return None


def _mirror_of(surface: str | None, where: str):
    """The mirror map of a surface, which is not read before a flipped picture needs it."""

    def mirror(i, u, v):
        if surface is None:
            raise ValueError(
                f"{where}: its dataset names no surface, which flipping needs; register it with"
                " register_densepose_coco(..., surface=...) or set INPUT.RANDOM_FLIP to 'none'"
            )
        return get_surface(surface).mirror(i, u, v)

    return mirror


@cache
def _warn_once(message: str) -> None:
    logger.warning(message)
