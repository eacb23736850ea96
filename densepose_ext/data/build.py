"""The data loaders of a config."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch.utils.data
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog, build_detection_test_loader
from detectron2.data.build import filter_images_with_few_keypoints
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager

from ..config.cascade import keeps_people_without_masks
from ..config.embeddings import embedder_sizes, needs_instance_masks
from ..config.official_package import is_official
from ..processes.messages import counted
from ..surface.dense_target import check_dense_target, has_dense_target
from ..surface.meshes import get_mesh
from ..surface.registry import get_surface
from .annotations import has_densepose
from .classes import joint_classes
from .coco import load_densepose_coco
from .loader import start_method, training_loader
from .mapper import DensePoseDatasetMapper
from .sampler import TrainingBatches, by_orientation, repeats_from_config

logger = logging.getLogger(f"detectron2.{__name__}")


def load_registered(
    name: str,
    categories: Sequence[int] | None = None,
    category_map: Mapping[int, int] | None = None,
) -> list[dict]:
    """A registered dataset, optionally only some of its categories.

    Args:
        name: under which it is registered.
        categories, category_map: as for ``load_densepose_coco``; only for datasets registered
            with ``register_densepose_coco``.

    Raises:
        ValueError: no dataset has this name, or it is empty.
    """
    if name not in DatasetCatalog:
        similar = difflib.get_close_matches(name, DatasetCatalog.list())
        raise ValueError(
            f"no dataset {name!r} is registered; register_densepose_coco registers one"
            + (f"; similar names: {', '.join(similar)}" if similar else "")
        )
    by_catalogue = not is_official(DatasetCatalog[name])
    if categories is None and category_map is None and by_catalogue:
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


def training_images(
    names: Sequence[str],
    *,
    need_densepose: bool = True,
    need_masks: bool = False,
    segm_from_instance_masks: bool = False,
    dense_targets: bool = False,
    min_keypoints: int = 0,
    flipped: bool = True,
    embedders: Mapping[str, int] | None = None,
    num_classes: int | None = None,
    categories: Mapping[str, Sequence[int]] | None = None,
    category_maps: Mapping[str, Mapping[int, int]] | None = None,
) -> list[dict]:
    """The images of registered datasets that a model can be trained on.

    Args:
        names: of the datasets.
        need_densepose: leave out images in which nobody has dense pose.
        need_masks: the model trains masks; ignore people without one.
        segm_from_instance_masks: masks train the coarse segmentation, so a mask counts as dense
            pose.
        dense_targets: the model trains on dense targets, so one counts as dense pose.
        min_keypoints: leave out images with fewer visible keypoints.
        flipped: training flips images, which requires the mirror map of their surface, or the
            symmetry of their mesh.
        embedders: mesh -> number of vertices, for CSE models, which train on dp_vertex and
            ref_model; None for chart models.
        num_classes: of the model; None: do not check.
        categories, category_maps: by dataset name, as for :func:`load_registered`.

    Raises:
        ValueError, FileNotFoundError: no image is left, a dense target cannot be used, the classes
            differ from those of the other datasets or of the model, the mirror map is not
            available, or a vertex or ``ref_model`` is not one of the embedders'.
    """
    if not names:
        raise ValueError("DATASETS.TRAIN = (), expected names of datasets")
    trains = partial(
        _trains,
        need_mask=need_masks,
        mask_is_enough=segm_from_instance_masks,
        by_vertices=embedders is not None,
        dense_targets=dense_targets,
    )
    found = []
    for name in names:
        dataset = load_registered(
            name, (categories or {}).get(name), (category_maps or {}).get(name)
        )
        dataset = _those_present(name, dataset)
        kept = dataset
        if need_densepose:
            kept = [image for image in dataset if any(map(trains, image["annotations"]))]
        if dense_targets:
            _check_dense_targets(name, kept)
        _report(name, dataset, kept, need_masks or segm_from_instance_masks, embedders is not None)
        if embedders is not None:
            _check_vertices(name, kept, embedders, flipped)
        elif flipped:
            _check_mirror(name, kept)
        found.append(kept)
    classes, numbers = joint_classes(names)
    images = []
    for name, kept, number_of in zip(names, found, numbers):
        if number_of is not None:
            kept = [_renumbered(image, number_of) for image in kept]
        _check_number_of_classes(name, kept, classes, num_classes)
        images += kept
    if min_keypoints > 0:
        images = filter_images_with_few_keypoints(images, min_keypoints)
    if not images:
        raise ValueError(f"no image to train on is left in {', '.join(names)}")
    return images


def build_densepose_train_loader(cfg: CfgNode) -> torch.utils.data.DataLoader:
    """An infinite loader of training batches: lists of this process's mapped images.

    A batch depends only on the seed (SEED, or a random one if that is negative) and the iteration:
    see :class:`TrainingBatches`. Errors as for :func:`training_images`.
    """
    segm_from_masks = cfg.MODEL.ROI_DENSEPOSE_HEAD.COARSE_SEGM_TRAINED_BY_MASKS
    images = training_images(
        cfg.DATASETS.TRAIN,
        need_densepose=cfg.MODEL.DENSEPOSE_ON and cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS,
        need_masks=(cfg.MODEL.MASK_ON and not keeps_people_without_masks(cfg))
        or (needs_instance_masks(cfg) and not segm_from_masks),
        segm_from_instance_masks=segm_from_masks,
        dense_targets=cfg.INPUT.DENSEPOSE_SUPERVISION != "points",
        min_keypoints=(
            cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE if cfg.MODEL.KEYPOINT_ON else 0
        ),
        flipped=cfg.MODEL.DENSEPOSE_ON and cfg.INPUT.RANDOM_FLIP != "none",
        embedders=embedder_sizes(cfg),
        num_classes=cfg.MODEL.ROI_HEADS.NUM_CLASSES,
        categories=cfg.DATASETS.WHITELISTED_CATEGORIES,
        category_maps=cfg.DATASETS.CATEGORY_MAPS,
    )
    seed = cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed()
    batches = TrainingBatches(
        repeats_from_config(cfg, images),
        cfg.SOLVER.IMS_PER_BATCH,
        seed,
        groups=by_orientation(images) if cfg.DATALOADER.ASPECT_RATIO_GROUPING else None,
        rank=comm.get_rank(),
        world_size=comm.get_world_size(),
    )
    mapper = DensePoseDatasetMapper(cfg, True)
    sizes = None
    if cfg.INPUT.SAME_SIZE_IN_BATCH:
        sizes = cfg.INPUT.MIN_SIZE_TRAIN
        if cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING == "range":
            sizes = range(min(sizes), max(sizes) + 1)
    return training_loader(images, mapper, batches, cfg.DATALOADER.NUM_WORKERS, sizes)


def build_densepose_test_loader(cfg: CfgNode, name: str) -> torch.utils.data.DataLoader:
    """A loader of the images of a test dataset, split among the processes.

    With DATASETS.WHITELISTED_CATEGORIES, images with none of these categories are left out.
    """
    categories = cfg.DATASETS.WHITELISTED_CATEGORIES.get(name)
    dataset = load_registered(name, categories, cfg.DATASETS.CATEGORY_MAPS.get(name))
    if categories is not None:
        dataset = [image for image in dataset if image["annotations"]]
    workers = cfg.DATALOADER.NUM_WORKERS
    mapper = DensePoseDatasetMapper(cfg, False)
    loader = build_detection_test_loader(dataset, mapper=mapper, num_workers=workers)
    loader.multiprocessing_context = start_method(workers)
    return loader


def _those_present(name: str, dataset: list[dict]) -> list[dict]:
    exists = [PathManager.exists(image["file_name"]) for image in dataset]
    present = [image for image, there in zip(dataset, exists) if there]
    if not present:
        raise FileNotFoundError(
            f"dataset {name!r}: none of its {len(dataset)} images exists, the first is"
            f" {os.path.abspath(dataset[0]['file_name'])}"
        )
    if len(present) < len(dataset):
        first = dataset[exists.index(False)]
        missing = counted(len(dataset) - len(present), "missing image")
        logger.warning(
            f"{name}: left out {missing}; the first is {os.path.abspath(first['file_name'])}"
        )
    return present


def _trains(
    person: dict, *, need_mask: bool, mask_is_enough: bool, by_vertices: bool, dense_targets: bool
) -> bool:
    """Whether the dense pose branch can be trained on a person."""
    if person.get("iscrowd", 0):
        return False
    has_target = dense_targets and has_dense_target(person)
    has_points = has_densepose(person, by_vertices) or has_target
    if "segmentation" not in person:
        return has_points and not (need_mask or mask_is_enough)
    return has_points or mask_is_enough


def _check_dense_targets(name: str, images: list[dict]) -> None:
    """Fail now, not in the middle of training, if a dense target cannot be used."""
    count = 0
    for image in images:
        for person in filter(has_dense_target, image["annotations"]):
            count += 1
            try:
                check_dense_target(person)
            except (OSError, ValueError) as error:
                kind = FileNotFoundError if isinstance(error, OSError) else ValueError
                raise kind(f"dataset {name!r}, image {image['image_id']}, {error}") from error
    logger.info(f"{name}: {counted(count, 'person')} with dense targets")


def _report(
    name: str, dataset: list[dict], kept: list[dict], need_masks: bool, by_vertices: bool
) -> None:
    def people(images: list[dict]) -> list[dict]:
        return [p for image in images for p in image["annotations"] if not p.get("iscrowd", 0)]

    trained = people(kept)
    logger.info(
        f"{name}: {counted(len(kept), 'image')} to train on, with"
        f" {counted(len(trained), 'person')},"
        f" {sum(has_densepose(p, by_vertices) for p in trained)} with dense pose; left out"
        f" {counted(len(dataset) - len(kept), 'image')} in which nobody has dense pose"
    )
    other = sum(
        has_densepose(p, not by_vertices) and not has_densepose(p, by_vertices)
        for p in people(dataset)
    )
    if other:
        has, lacks = ("I, U, V", "dp_vertex") if by_vertices else ("dp_vertex", "I, U, V")
        logger.warning(
            f"{name}: {counted(other, 'person')} with {has} but without {lacks}, which this model"
            " is trained on, count as without dense pose"
        )
    without_mask = sum("segmentation" not in person for person in trained)
    if need_masks and without_mask:
        logger.warning(
            f"{name}: left out {counted(without_mask, 'person')} without a mask, which this model"
            " trains"
        )


def _renumbered(image: dict, number_of: Mapping[int, int]) -> dict:
    people = [{**p, "category_id": number_of[p["category_id"]]} for p in image["annotations"]]
    return {**image, "annotations": people}


def _check_number_of_classes(
    name: str, images: list[dict], classes: list[str] | None, expected: int | None
) -> None:
    """Fail now, not in the loss, if the model has fewer classes."""
    people = (p for image in images for p in image["annotations"] if not p.get("iscrowd", 0))
    highest = max((person["category_id"] for person in people), default=0)
    if expected is not None and highest >= expected:
        raise ValueError(
            f"dataset {name!r} has class {highest} ({classes[highest] if classes else 'unnamed'}),"
            f" counted from 0, but MODEL.ROI_HEADS.NUM_CLASSES = {expected};"
            " DATASETS.WHITELISTED_CATEGORIES keeps chosen categories"
        )


def _check_vertices(
    name: str, images: list[dict], embedders: Mapping[str, int], flipped: bool
) -> None:
    """Fail now, not in a loss, if annotated vertices are not those of the model's embedders."""
    where = f"dataset {name!r} ({getattr(MetadataCatalog.get(name), 'json_file', 'no file')})"
    people = [(i, p) for i in images for p in i["annotations"] if has_densepose(p, True)]
    for image, person in people:
        mesh, vertex = person["ref_model"], np.max(person["dp_vertex"], initial=0)
        annotation = f"{where}: annotation {person.get('id')} of image {image.get('image_id')}"
        if mesh not in embedders:
            raise ValueError(
                f"{annotation} has ref_model {mesh!r}, for which the model has no embedder;"
                f" MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS has {', '.join(embedders)}"
            )
        if vertex >= embedders[mesh]:
            raise ValueError(
                f"{annotation} has dp_vertex {vertex}, expected 0 to {embedders[mesh] - 1}, the"
                f" vertices of {mesh}"
            )
    for mesh in {person["ref_model"] for _, person in people} if flipped else ():
        try:
            symmetry = get_mesh(mesh).symmetry
        except (OSError, ValueError) as error:
            raise type(error)(
                f"{where} cannot be flipped in training: {error}. To train without flips, set"
                " INPUT.RANDOM_FLIP none"
            ) from error
        if len(symmetry) != embedders[mesh]:
            raise ValueError(
                f"the mesh {mesh} has {len(symmetry)} vertices, but"
                f" MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS.{mesh}.NUM_VERTICES = {embedders[mesh]}"
            )


def _check_mirror(name: str, images: list[dict]) -> None:
    """Fail now, not at the first flipped image, if a surface's mirror map is not available."""
    dense = [
        image
        for image in images
        if any(has_densepose(p) or has_dense_target(p) for p in image["annotations"])
    ]
    for surface in {image.get("surface") for image in dense}:
        if surface is None:
            raise ValueError(
                f"dataset {name!r} names no surface, which flips in training need; register it with"
                " register_densepose_coco(..., surface=...), or train without flips:"
                " INPUT.RANDOM_FLIP none"
            )
        try:
            get_surface(surface).mirror(np.ones(1, dtype=np.int64), np.zeros(1), np.zeros(1))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"dataset {name!r} cannot be flipped in training: {error}. To train without flips,"
                " set INPUT.RANDOM_FLIP none"
            ) from error
        except ValueError as error:
            raise ValueError(f"dataset {name!r}: {error}") from error
