"""Writes the dense targets that a teacher predicts for a dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.data import detection_utils
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils import comm
from pycocotools import mask as coco_mask
from tqdm import tqdm

from ..data.json_file import read_json
from ..data.picture_files import read_picture_as
from ..files.atomic import write_whole
from ..modeling.postprocessing import densepose_results
from ..modeling.teacher import DensePoseTeacher
from ..structures import DensePoseOutput
from ..surface.dense_target import (
    DENSE_KEY,
    SURFACE_KEY,
    dense_target_size,
    write_dense_target,
)
from ..surface.registry import body_of

#: Folder of the targets, beside the annotation file that refers to them.
TARGETS = "dense"


def write_targets(
    teacher: DensePoseTeacher, images: Sequence[dict], image_format: str, folder: Path
) -> None:
    """Writes ``dense/ID.png`` for every person with a mask, unless the file exists.

    Each process handles its share of the images.

    Args:
        teacher: in evaluation mode.
        images: as returned by ``load_densepose_coco``.
        image_format: the teacher's INPUT.FORMAT.
        folder: created if it does not exist.

    Raises:
        ValueError, OSError: an image cannot be read, or the folder cannot be written to.
    """
    (folder / TARGETS).mkdir(parents=True, exist_ok=True)
    mine = images[comm.get_rank() :: comm.get_world_size()]
    for image in tqdm(mine, desc="dense targets", unit="image", disable=not comm.is_main_process()):
        people = [
            person
            for person in image["annotations"]
            if _is_taught(person) and not target_path(folder, person["id"]).exists()
        ]
        if not people:
            continue
        picture = read_picture_as(image["file_name"], image_format)
        detection_utils.check_image_size(image, picture)
        masks = np.stack([_mask(person["segmentation"], image) for person in people])
        boxes = torch.tensor([person["bbox"] for person in people])
        boxes[:, 2:] += boxes[:, :2]
        instances = Instances(
            picture.shape[:2], gt_boxes=Boxes(boxes), gt_masks=BitMasks(torch.from_numpy(masks))
        )
        picture = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        with torch.no_grad():
            (found,) = teacher([{"image": picture, "instances": instances}])
        everywhere = _without_background(found.pred_densepose)
        results = densepose_results(everywhere, found.pred_boxes.tensor)
        corners = found.pred_boxes.tensor[:, :2].int().tolist()
        for person, mask, result, corner in zip(people, masks, results, corners):
            iuv = result.iuv_uint8().permute(1, 2, 0).cpu().numpy()
            target = _in_mask(iuv, corner, mask, person["bbox"])
            write_dense_target(target_path(folder, person["id"]), target)


def write_annotations(json_file: str, folder: Path, surface: str) -> Path:
    """Writes ``annotations.json``: a copy of an annotation file, with references to the targets.

    Args:
        surface: surface of the targets, which the file records.

    Returns:
        path of the file.
    """
    contents: Any = read_json(Path(json_file))
    contents["info"] = {**(contents.get("info") or {}), SURFACE_KEY: body_of(surface)}
    for annotation in contents["annotations"]:
        annotation.pop(DENSE_KEY, None)
        path = target_path(folder, annotation["id"])
        if path.exists():
            annotation[DENSE_KEY] = path.relative_to(folder).as_posix()
    result = folder / "annotations.json"
    write_whole(result, json.dumps(contents).encode())
    return result


def target_path(folder: Path, annotation_id) -> Path:
    """Path of the target of an annotation."""
    return folder / TARGETS / f"{annotation_id}.png"


def _is_taught(person: dict) -> bool:
    return "segmentation" in person and not person.get("iscrowd", 0)


def _mask(segmentation: list | dict, image: dict) -> np.ndarray:
    """(H, W) bool."""
    if isinstance(segmentation, list):
        parts = coco_mask.frPyObjects(segmentation, image["height"], image["width"])
        segmentation = coco_mask.merge(parts)
    return coco_mask.decode(segmentation).astype(bool)


def _without_background(output: DensePoseOutput) -> DensePoseOutput:
    """Excludes the background from all maps, since the mask is known."""
    output.coarse_segm[:, 0] = output.coarse_segm.min() - 1
    output.fine_segm[:, 0] = output.fine_segm.min() - 1
    return output


def _in_mask(iuv: np.ndarray, corner: list[int], mask: np.ndarray, bbox) -> np.ndarray:
    """Crops the IUV image of a square to a person's box, with 0 outside the mask.

    Args:
        iuv: (side, side, 3) uint8.
        corner: column and row of the square's corner in the image.
        mask: (H, W) bool, of the whole image.
        bbox: XYWH.
    """
    height, width = dense_target_size(bbox)
    left, top = int(bbox[0]), int(bbox[1])
    in_square = iuv[top - corner[1] :, left - corner[0] :][:height, :width]
    target = np.zeros((height, width, 3), np.uint8)
    seen = mask[max(top, 0) : top + height, max(left, 0) : left + width]
    rows = slice(max(-top, 0), max(-top, 0) + seen.shape[0])
    columns = slice(max(-left, 0), max(-left, 0) + seen.shape[1])
    target[rows, columns] = in_square[rows, columns] * seen[:, :, None]
    return target
