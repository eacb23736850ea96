"""Test-time augmentation: predictions on flipped, resized and rotated versions of a picture."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.data import transforms as T
from detectron2.modeling import DatasetMapperTTA, GeneralizedRCNNWithTTA
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import ImageList, Instances
from torch import nn
from torch.nn import functional as F

from ..config.embeddings import is_cse_config
from ..data.transforms import affine_matrix
from ..structures import DensePoseEmbeddingOutput, DensePoseOutput
from ..surface.parts import COARSE_MIRROR, FINE_MIRROR
from ..surface.registry import Surface, get_surface

logger = logging.getLogger(f"detectron2.{__name__}")

_GRID = 256
#: Maps of vectors on a chart, whose mirror images the surface's tables do not define.
_DIRECTED = ("kappa_u", "kappa_v")


class DensePoseMapperTTA(DatasetMapperTTA):
    """Adds a version for each angle of TEST.AUG.ROTATION_ANGLES to Detectron2's versions."""

    def __init__(self, cfg: CfgNode):
        super().__init__(cfg)
        self.angles = [angle for angle in cfg.TEST.AUG.ROTATION_ANGLES if angle % 360]

    def __call__(self, dataset_dict: dict) -> list[dict]:
        versions = super().__call__(dataset_dict)
        rotated = []
        for angle in self.angles:
            for version in versions:
                image = version["image"].permute(1, 2, 0).numpy()
                rotation = T.RotationTransform(*image.shape[:2], angle, expand=False)
                image = np.ascontiguousarray(rotation.apply_image(image).transpose(2, 0, 1))
                rotated.append(
                    {
                        **version,
                        "image": torch.from_numpy(image),
                        "transforms": version["transforms"] + T.TransformList([rotation]),
                    }
                )
        return versions + rotated


@dataclass
class _Versions:
    """Versions of a picture, and their features."""

    images: ImageList
    features: dict[str, torch.Tensor]


class DensePoseRCNNWithTTA(GeneralizedRCNNWithTTA):
    """GeneralizedRCNNWithTTA with dense pose.

    Boxes are detected on all versions that are not rotated, and merged. Dense pose is then
    predicted for the merged boxes on all versions, transformed back to the original and averaged.
    There are no keypoints.

    The features of all versions are kept until then, on the model's device, where Detectron2's
    class computes them twice: 1.4 GB for the default versions of a 4:3 picture with 256 channels.
    """

    def __init__(
        self, cfg: CfgNode, model: nn.Module, tta_mapper=None, batch_size: int = 3, surface=None
    ):
        """
        Args:
            cfg, model, tta_mapper, batch_size: as for GeneralizedRCNNWithTTA.
            surface: the one the model was trained on, needed with TEST.AUG.FLIP. Default: that of
                the first dataset in DATASETS.TEST.

        Raises:
            ValueError: TEST.AUG.FLIP without a surface.
        """
        cfg = cfg.clone()
        cfg.defrost()
        if cfg.MODEL.KEYPOINT_ON:
            logger.info("Test-time augmentation does not support keypoints")
            cfg.MODEL.KEYPOINT_ON = False
        super().__init__(cfg, model, tta_mapper or DensePoseMapperTTA(cfg), batch_size)
        self._mirror: Callable | None = None
        if cfg.TEST.AUG.FLIP and self.model.roi_heads.densepose_on:
            if is_cse_config(cfg):
                self._mirror = _mirror_coarse
            else:
                self._mirror = _MapMirror(_surface_of(cfg) if surface is None else surface)

    @torch.no_grad()
    def _inference_one_image(self, input: dict) -> dict:
        """Called by GeneralizedRCNNWithTTA for each picture."""
        shape = (input["height"], input["width"])
        versions, transforms = self._get_augmented_inputs(input)
        # Upright versions first, in separate batches.
        order = sorted(range(len(versions)), key=lambda n: _is_rotated(transforms[n]))
        versions, transforms = [versions[n] for n in order], [transforms[n] for n in order]
        upright = sum(not _is_rotated(transform) for transform in transforms)
        seen_upright = self._features(versions[:upright])
        seen = seen_upright + self._features(versions[upright:])
        with self._turn_off_roi_heads(["mask_on", "keypoint_on", "densepose_on", "second_look_on"]):
            boxes, scores, classes = self._get_augmented_boxes(seen_upright, transforms[:upright])
        merged = self._merge_detections(boxes, scores, classes, shape)
        if self.model.roi_heads.second_look_on:
            merged = self._look_again(merged, seen[0], versions[0], transforms[0])
        in_versions = self._rescale_detected_boxes(versions, merged, transforms)
        # Back to the device: rescaling goes through numpy.
        in_versions = [instances.to(merged.scores.device) for instances in in_versions]
        with self._turn_off_roi_heads(["keypoint_on"]):
            outputs = self._batch_inference(seen, in_versions)
        if self.cfg.MODEL.MASK_ON:
            merged.pred_masks = self._reduce_pred_masks(outputs[:upright], transforms[:upright])
        if self.model.roi_heads.densepose_on:
            merged.pred_densepose = self._average(outputs, merged, transforms)
        return {"instances": detector_postprocess(merged, *shape)}

    def _look_again(
        self, merged: Instances, seen: _Versions, version: dict, transform: T.TransformList
    ) -> Instances:
        """Merged boxes with scores from a second look, on the first version of the picture."""
        (there,) = self._rescale_detected_boxes([version], merged, [transform])
        boxes = there.pred_boxes.to(merged.scores.device)
        second_look = self.model.roi_heads.second_look
        (looked,) = second_look.rescored(seen.images.tensor[:1], [merged], [boxes])
        return looked

    def _features(self, versions: Sequence[dict]) -> list[_Versions]:
        """Features of the mapper's versions, in batches of Detectron2's size."""
        seen = []
        for first in range(0, len(versions), self.batch_size):
            images = self.model.preprocess_image(versions[first : first + self.batch_size])
            seen.append(_Versions(images, self.model.backbone(images.tensor)))
        return seen

    def _batch_inference(
        self, batched_inputs: list[_Versions], detected_instances: list[Instances] | None = None
    ) -> list[Instances]:
        """The people of each version, or the heads' predictions for given people.

        Called by Detectron2's methods with their argument, which here is a list of batches.
        """
        outputs = []
        for batch in batched_inputs:
            images, features, heads = batch.images, batch.features, self.model.roi_heads
            if detected_instances is None:
                proposals, _ = self.model.proposal_generator(images, features, None)
                found, _ = heads(images, features, proposals, None)
            else:
                given = detected_instances[len(outputs) : len(outputs) + len(images)]
                found = heads.forward_with_given_boxes(features, given)
            outputs.extend(found)
        return outputs

    def _average(
        self, outputs: list[Instances], merged: Instances, transforms
    ) -> DensePoseOutput | DensePoseEmbeddingOutput:
        """The mean over all versions, each transformed back to the original boxes."""
        totals: dict[str, torch.Tensor] = {}
        counts: dict[str, int] = {}
        for instances, transform in zip(outputs, transforms):
            matrix = affine_matrix(transform)
            output = instances.pred_densepose.map(
                _ToOriginal(matrix, merged.pred_boxes.tensor, instances.pred_boxes.tensor)
            )
            is_mirrored = np.linalg.det(matrix[:, :2]) < 0
            if is_mirrored:
                output = self._mirror(output)
            for name, value in output.items():
                if is_mirrored and name in (*_DIRECTED, "embedding"):
                    continue
                totals[name] = totals[name] + value if name in totals else value
                counts[name] = counts.get(name, 0) + 1
        means = {name: total / counts[name] for name, total in totals.items()}
        first = outputs[0].pred_densepose
        if isinstance(first, DensePoseEmbeddingOutput):
            # Embeddings are averaged over unflipped versions only: a mirror image shows others.
            return DensePoseEmbeddingOutput(**means, meshes=first.meshes)
        return DensePoseOutput(**means)


def _is_rotated(transforms: T.TransformList) -> bool:
    return any(isinstance(t, T.RotationTransform) for t in transforms.transforms)


def _surface_of(cfg: CfgNode) -> Surface:
    dataset = cfg.DATASETS.TEST[0] if cfg.DATASETS.TEST else None
    name = MetadataCatalog.get(dataset).get("surface") if dataset else None
    if name is None:
        raise ValueError(
            "TEST.AUG.FLIP needs the surface that the model was trained on, and the metadata of"
            f" DATASETS.TEST ({dataset!r}) names none. Register the dataset with"
            " register_densepose_coco(..., surface=...) or set TEST.AUG.FLIP to False"
        )
    return get_surface(name)


class _ToOriginal:
    """Transforms maps from a person's box in a version of the picture to that in the original."""

    def __init__(self, matrix: np.ndarray, boxes: torch.Tensor, version_boxes: torch.Tensor):
        """
        Args:
            matrix: (2, 3), from positions in the original to positions in the version.
            boxes, version_boxes: (N, 4) XYXY, of the same people.
        """
        self.is_plain = abs(matrix[0, 1]) < 1e-6 and abs(matrix[1, 0]) < 1e-6
        self.is_flipped = matrix[0, 0] < 0
        size = boxes[:, 2:] - boxes[:, :2]
        version_size = version_boxes[:, 2:] - version_boxes[:, :2]
        linear = torch.as_tensor(matrix[:, :2], dtype=boxes.dtype, device=boxes.device)
        offset = torch.as_tensor(matrix[:, 2], dtype=boxes.dtype, device=boxes.device)
        # From [-1, 1] of one box to [-1, 1] of the other, as grid_sample expects.
        center = (boxes[:, :2] + size / 2) @ linear.T + offset
        center = (center - version_boxes[:, :2]) / version_size * 2 - 1
        self.theta = torch.cat(
            [linear * size[:, None, :] / version_size[:, :, None], center[:, :, None]], dim=2
        )

    def __call__(self, value: torch.Tensor) -> torch.Tensor:
        """(N, C, S, S) -> (N, C, S, S)."""
        if self.is_plain or len(value) == 0:
            return value.flip(3) if self.is_flipped else value
        grid = F.affine_grid(self.theta, list(value.shape), align_corners=False)
        return F.grid_sample(value, grid, padding_mode="border", align_corners=False)


def _mirror_coarse(output: DensePoseEmbeddingOutput) -> DensePoseEmbeddingOutput:
    """Exchanges left and right coarse parts, which undoes a flip."""
    channels = output.coarse_segm.shape[1]
    if channels == len(COARSE_MIRROR):
        output.coarse_segm = output.coarse_segm[:, torch.as_tensor(COARSE_MIRROR)]
    return output


class _MapMirror:
    """Exchanges left and right parts, and maps U, V accordingly, which undoes a flip."""

    def __init__(self, surface: Surface):
        cells = ((np.arange(_GRID) + 0.5) / (_GRID - 1)).clip(max=1)
        v, u = (axis.ravel() for axis in np.meshgrid(cells, cells, indexing="ij"))
        # (2, 25, 256 * 256): U and V after a flip, by part and by cell of V, U. Background: as is.
        tables = [np.stack([u, v])]
        for part in range(1, len(FINE_MIRROR)):
            tables.append(np.stack(surface.mirror(np.full(len(u), part), u, v)[1:]))
        self.tables = torch.from_numpy(np.stack(tables, axis=1).astype(np.float32))

    def __call__(self, output: DensePoseOutput) -> DensePoseOutput:
        mirrored = {}
        for name, value in output.items():
            channels = value.shape[1]
            if channels == len(FINE_MIRROR):
                mirrored[name] = value[:, torch.as_tensor(FINE_MIRROR)]
            elif channels == len(COARSE_MIRROR):
                mirrored[name] = value[:, torch.as_tensor(COARSE_MIRROR)]
            else:
                mirrored[name] = value
        row, column = ((x.clamp(0, 1) * (_GRID - 1)).long() for x in (output.v, output.u))
        cell = row * _GRID + column  # (N, 25, S, S)
        self.tables = self.tables.to(cell.device)
        part = torch.arange(cell.shape[1], device=cell.device)[None, :, None, None]
        flat = part * _GRID**2 + cell
        for name, table in zip("uv", self.tables):
            mirrored[name] = table.flatten()[flat][:, torch.as_tensor(FINE_MIRROR)]
        return DensePoseOutput(**mirrored)
