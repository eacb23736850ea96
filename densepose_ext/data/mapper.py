"""The mapper from dataset records to the model's input."""

from __future__ import annotations

from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.data import DatasetMapper
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from detectron2.structures import BoxMode, Instances
from pycocotools import mask as coco_mask

from ..config.cascade import keeps_people_without_masks
from ..config.embeddings import is_cse_config, needs_instance_masks
from ..structures import DensePoseAnnotation, DensePoseAnnotationList
from ..surface.dense_target import has_dense_target, read_dense_target
from ..surface.meshes import get_mesh
from ..surface.registry import get_surface
from .annotations import POINT_KEYS, AnnotationError, read_densepose
from .dense_points import draw_points
from .left_out import warn_once
from .picture_files import read_picture_as
from .rle import painted_map
from .transforms import affine_matrix, transform_densepose

#: Sources of the points that dense pose is trained on.
SUPERVISIONS = ("points", "dense", "both")

#: A box of at most this width or height (pixels) is empty.
_EMPTY_BOX = 1e-5


class DensePoseDatasetMapper(DatasetMapper):
    """Detectron2's mapper, with dense pose, rotations and colour jitter; no semantic segmentation.

    The instances of a training image always have the field ``gt_densepose``
    (:class:`DensePoseAnnotationList`), even if nobody has dense pose. When masks are trained,
    people without one are left out, unless ``keep_without_mask``. People without keypoints get
    invisible ones.

    An image that cannot be read is reported and skipped in training (another one is drawn), and an
    error at inference.
    """

    @configurable
    def __init__(
        self,
        is_train: bool,
        *,
        use_densepose: bool = True,
        by_vertices: bool = False,
        supervision: str = "points",
        dense_points: int = 100,
        keep_without_mask: bool = False,
        **kwargs: Any,
    ):
        """
        Args:
            use_densepose: whether to add ``gt_densepose``.
            by_vertices: use points as vertices of meshes (``dp_vertex``), not in charts; people
                without vertices count as without dense pose.
            supervision: annotated "points"; "dense" targets instead of the points, for people who
                have them; or "both".
            dense_points: number of points to draw from a dense target.
            keep_without_mask: keep people without a mask, with an empty one: for models that do
                not train on empty masks, such as cascades.
            kwargs: as for DatasetMapper.

        Raises:
            ValueError: keypoints are used without ``keypoint_hflip_indices``, or ``supervision``
                is invalid.
        """
        super().__init__(is_train, **kwargs)
        if is_train and self.use_keypoint and self.keypoint_hflip_indices is None:
            raise ValueError(
                "use_keypoint needs keypoint_hflip_indices: Detectron2's"
                " create_keypoint_hflip_indices(dataset names) has them"
            )
        if by_vertices and supervision != "points":
            raise ValueError(
                f"INPUT.DENSEPOSE_SUPERVISION = {supervision!r}, expected 'points' for a CSE model:"
                " dense targets are in charts"
            )
        if supervision not in SUPERVISIONS or dense_points < 1:
            raise ValueError(
                f"INPUT.DENSEPOSE_SUPERVISION = {supervision!r} with INPUT.DENSE_POINTS ="
                f" {dense_points}, expected one of {', '.join(SUPERVISIONS)} with 1 or more"
            )
        self.use_densepose = use_densepose
        self.by_vertices = by_vertices
        self.supervision = supervision
        self.dense_points = dense_points
        self.keep_without_mask = keep_without_mask
        self._of_edge: dict[int | None, T.AugmentationList] = {None: self.augmentations}

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool = True) -> dict:
        arguments = super().from_config(cfg, is_train)
        masks_train_dense_pose = cfg.MODEL.DENSEPOSE_ON and needs_instance_masks(cfg)
        arguments["use_instance_mask"] = cfg.MODEL.MASK_ON or masks_train_dense_pose
        arguments["use_densepose"] = cfg.MODEL.DENSEPOSE_ON
        arguments["by_vertices"] = is_cse_config(cfg)
        arguments["supervision"] = cfg.INPUT.DENSEPOSE_SUPERVISION
        arguments["dense_points"] = cfg.INPUT.DENSE_POINTS
        arguments["keep_without_mask"] = keeps_people_without_masks(cfg)
        if is_train:
            arguments["augmentations"] += _more_augmentations(cfg)
        if is_train and cfg.MODEL.KEYPOINT_ON:
            _check_number_of_keypoints(cfg, len(arguments["keypoint_hflip_indices"]))
        return arguments

    def __call__(self, dataset_dict: dict) -> dict | None:
        """
        Args:
            dataset_dict: record of an image, as returned by ``load_densepose_coco``. Optional:
                ``shortest_edge`` (pixels), the size to use instead of a random one; ``pixels``,
                (H, W, 3) uint8, the picture, which is then not read from its file.

        Returns:
            a dict with ``image`` (3, H, W) uint8 and, in training, ``instances``; None in training
            if the image cannot be read.

        Raises:
            ValueError: at inference: the image cannot be read, or its size is not the declared
                one; in training: the picture is flipped and its surface has no mirror map.
        """
        # A shallow copy, since a deep one would take a tenth of the time of a training image.
        # Values that transforms change in place are copied before these are applied.
        dataset_dict = dataset_dict.copy()
        # As in DatasetMapper, except that reading is apart: a damaged file is skipped, but a
        # surface without its mirror map stops the run.
        try:
            image = dataset_dict.pop("pixels", None)
            if image is None:
                image = read_picture_as(dataset_dict["file_name"], self.image_format)
            utils.check_image_size(dataset_dict, image)
        except (OSError, ValueError, utils.SizeMismatchError) as error:
            if not self.is_train:
                raise ValueError(str(error)) from error
            warn_once(f"skipped in training: {error}")
            return None

        augmented = T.AugInput(image)
        edge = dataset_dict.pop("shortest_edge", None)
        transforms = self._sized(edge)(augmented)
        height, width = augmented.image.shape[:2]
        dataset_dict["image"] = torch.from_numpy(_channels_first(augmented.image))
        if self.proposal_topk is not None:
            utils.transform_proposals(
                dataset_dict, (height, width), transforms, proposal_topk=self.proposal_topk
            )
        if not self.is_train:
            dataset_dict.pop("annotations", None)
        elif "annotations" in dataset_dict:
            self._transform_annotations(dataset_dict, transforms, (height, width))
        return dataset_dict

    def _sized(self, edge: int | None) -> T.AugmentationList:
        """The augmentations with a fixed shortest edge; None: a random one."""
        if edge not in self._of_edge:
            # Cached, because an augmentation inspects its signature on its first call.
            self._of_edge[edge] = T.AugmentationList(
                [
                    T.ResizeShortestEdge([edge], a.max_size, "choice", a.interp)
                    if isinstance(a, T.ResizeShortestEdge)
                    else a
                    for a in self.augmentations.augs
                ]
            )
        return self._of_edge[edge]

    def _transform_annotations(self, dataset_dict: dict, transforms, image_shape) -> None:
        """Replaces ``annotations`` by ``instances``."""
        people = [
            person
            for person in dataset_dict.pop("annotations")
            if not person.get("iscrowd", 0)
            and ("segmentation" in person or not self.use_instance_mask or self.keep_without_mask)
        ]
        where = f"{dataset_dict['file_name']}, image {dataset_dict.get('image_id')}"
        size_before = (dataset_dict["height"], dataset_dict["width"])
        # Once, because it is slow: Detectron2 converts a box by way of tensors.
        boxes = [BoxMode.convert(p["bbox"], p["bbox_mode"], BoxMode.XYXY_ABS) for p in people]
        instances = self._instances(people, boxes, transforms, size_before, image_shape)
        if self.use_densepose:
            matrix = affine_matrix(transforms)
            mirror = _mirror_of(dataset_dict.get("surface"), where)
            mirror_vertices = partial(_mirror_vertices, where=where)
            new_boxes = instances.gt_boxes.tensor.double().numpy()
            dense_poses: list[DensePoseAnnotation | None] = []
            for person, old_box, new_box in zip(people, boxes, new_boxes):
                dense_pose = None
                if (new_box[2:] > new_box[:2]).all():  # else it left the image; divisors would be 0
                    dense_pose = self._dense_pose(person, where)
                if dense_pose is not None:
                    dense_pose = transform_densepose(
                        dense_pose, matrix, np.array(old_box), new_box, mirror, mirror_vertices
                    )
                dense_poses.append(dense_pose)
            instances.gt_densepose = DensePoseAnnotationList(dense_poses)
        box = instances.gt_boxes.tensor.numpy()
        # Only if necessary: filtering copies everything, and people rarely leave the picture.
        if instances.has("gt_masks") or (box[:, 2:] - box[:, :2] <= _EMPTY_BOX).any():
            instances = utils.filter_empty_instances(
                instances, by_mask=not self.keep_without_mask, box_threshold=_EMPTY_BOX
            )
        dataset_dict["instances"] = instances

    def _dense_pose(self, person: dict, where: str) -> DensePoseAnnotation | None:
        sparse = _annotated(person, where, self.by_vertices)
        if self.supervision == "points" or not has_dense_target(person):
            return sparse
        try:
            dense = draw_points(read_dense_target(person), person["bbox"], self.dense_points)
        except ValueError as error:
            warn_once(f"left out a dense target: {where}, {error}")
            return sparse
        if sparse is None or dense is None:
            return dense or sparse
        if self.supervision == "both":
            points = [torch.cat([getattr(sparse, n), getattr(dense, n)]) for n in "xyiuv"]
            dense = DensePoseAnnotation(*points)  # type: ignore[arg-type]
        dense.segm = sparse.segm
        return dense

    def _instances(
        self, people: list[dict], boxes: list, transforms, size_before, image_shape
    ) -> Instances:
        """Boxes, classes, masks and keypoints, by Detectron2's functions."""
        transformed = []
        is_cropped = any(isinstance(t, T.CropTransform) for t in transforms.transforms)
        for person, box in zip(people, boxes):
            own = {
                "bbox": box,
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": person["category_id"],
            }
            if self.use_instance_mask:
                own["segmentation"] = person.get("segmentation", [])
                if isinstance(own["segmentation"], list):
                    own["segmentation"] = (
                        _polygons_to_rle(own["segmentation"], size_before)
                        if is_cropped
                        else [np.array(polygon, np.float64) for polygon in own["segmentation"]]
                    )
            if self.use_keypoint:
                nothing_visible = np.zeros(3 * len(self.keypoint_hflip_indices))
                own["keypoints"] = np.array(person.get("keypoints", nothing_visible), np.float64)
            transformed.append(
                utils.transform_instance_annotations(
                    own,
                    transforms,
                    image_shape,
                    keypoint_hflip_indices=self.keypoint_hflip_indices,
                )
            )
        # RLEs have become bitmaps. Polygons can be converted to bitmaps, but not the reverse.
        is_bitmap = any(isinstance(p.get("segmentation"), np.ndarray) for p in transformed)
        mask_format = "bitmask" if is_bitmap else self.instance_mask_format
        instances = utils.annotations_to_instances(transformed, image_shape, mask_format)
        if self.recompute_boxes and instances.has("gt_masks"):
            has_mask = instances.gt_masks.nonempty()
            own_boxes = instances.gt_masks.get_bounding_boxes().tensor
            instances.gt_boxes.tensor[has_mask] = own_boxes[has_mask]
        return instances


def _check_number_of_keypoints(cfg: CfgNode, annotated: int) -> None:
    """Fail now: Detectron2's loss would compare heatmaps of one person with another's points."""
    predicted = cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS
    if predicted != annotated:
        raise ValueError(
            f"MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS = {predicted}, expected {annotated}, the number"
            f" of keypoints of {', '.join(cfg.DATASETS.TRAIN)}"
        )


def _more_augmentations(cfg: CfgNode) -> list[T.Augmentation]:
    """Augmentations of dense pose configs in addition to Detectron2's."""
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


def _channels_first(image: np.ndarray) -> np.ndarray:
    """(H, W, C) to (C, H, W); by OpenCV, which is much faster, for three channels."""
    if image.dtype != np.uint8:
        return np.ascontiguousarray(image.transpose(2, 0, 1))
    if image.strides[1] < 0:  # flipped; OpenCV would copy it value by value
        image = cv2.flip(image[:, ::-1], 1).reshape(image.shape)
    channels = np.empty((image.shape[2], *image.shape[:2]), np.uint8)
    cv2.split(image, list(channels))
    return channels


def densepose_annotation(checked: dict) -> DensePoseAnnotation:
    """An annotation from :func:`read_densepose`, with its own tensors."""

    def tensor(key: str, dtype: type) -> torch.Tensor | None:
        return torch.from_numpy(np.array(checked[key], dtype)) if key in checked else None

    x, y = (torch.from_numpy(np.array(checked[key], np.float32)) for key in ("dp_x", "dp_y"))
    runs = checked.get("dp_masks")
    return DensePoseAnnotation(
        x,
        y,
        # Parts without U and V, beside vertices, do not count.
        i=tensor("dp_I", np.int64) if "dp_U" in checked else None,
        u=tensor("dp_U", np.float32),
        v=tensor("dp_V", np.float32),
        segm=torch.from_numpy(painted_map(runs)) if runs is not None else None,
        vertex=tensor("dp_vertex", np.int64),
        mesh=checked.get("ref_model"),
    )


def _annotated(person: dict, where: str, by_vertices: bool) -> DensePoseAnnotation | None:
    try:
        # Our reader has validated the records whose points are arrays.
        checked = isinstance(person.get(POINT_KEYS[0]), np.ndarray)
        record = person if checked else read_densepose(person)
        if record is None:
            return None
        annotation = densepose_annotation(record)
        return annotation.with_vertices_only() if by_vertices else annotation.with_charts_only()
    except AnnotationError as error:
        warn_once(f"left out a dense pose: {where}, annotation {person.get('id')}: {error}")
        return None


def _polygons_to_rle(polygons: list, size: tuple[int, int]) -> dict:
    """A mask that can be cropped. Cropping polygons requires shapely, which may be missing."""
    if not polygons:
        return coco_mask.encode(np.zeros(size, np.uint8, order="F"))
    return coco_mask.merge(coco_mask.frPyObjects(polygons, *size))


def _mirror_of(surface: str | None, where: str):
    """The mirror map of a surface, read when the first flipped picture needs it."""

    def mirror(i, u, v):
        if surface is None:
            raise ValueError(
                f"{where}: its dataset names no surface, which flipping needs; register it with"
                " register_densepose_coco(..., surface=...) or set INPUT.RANDOM_FLIP to 'none'"
            )
        try:
            return get_surface(surface).mirror(i, u, v)
        except (OSError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error

    return mirror


def _mirror_vertices(mesh: str, vertices: np.ndarray, where: str) -> np.ndarray:
    try:
        return get_mesh(mesh).symmetry[vertices]
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(f"{where}: ref_model {mesh}: {error}") from error
