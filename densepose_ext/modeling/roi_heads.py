"""ROI heads with a dense pose branch beside Detectron2's box, mask and keypoint branches."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import ROI_HEADS_REGISTRY
from detectron2.modeling.poolers import ROIPooler
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.structures.boxes import matched_pairwise_iou
from torch import nn

from ..config import check_config
from ..config.embeddings import class_meshes, is_cse_config
from ..structures import DensePoseEmbeddingOutput, DensePoseOutput, MeshesOfPeople
from .batches.rois import can_sample, label_and_sample
from .batches.rows import foreground, select
from .box_refinement import refined
from .cascade import BranchOutput, CascadeROIHeads, DensePoseCascade, build_cascade
from .decoder import DensePoseDecoder
from .embeddings.embedder import build_embedder
from .pooling import RowPooler
from .precision import PRECISIONS, computed_in
from .registry import (
    build_densepose_head,
    build_densepose_loss,
    build_densepose_predictor,
    register_shared,
)
from .second_look import SecondLook, build_second_look

logger = logging.getLogger(f"detectron2.{__name__}")


@register_shared(ROI_HEADS_REGISTRY)
class DensePoseROIHeads(CascadeROIHeads):
    """StandardROIHeads with dense pose (DensePose, CVPR 2018, section 3).

    In training it adds the losses of dense pose; at inference it adds the field ``pred_densepose``
    (:class:`DensePoseOutput`, or with an embedder :class:`DensePoseEmbeddingOutput`) to the
    instances.
    """

    @configurable
    def __init__(
        self,
        *,
        box_refinements: int = 0,
        second_look: SecondLook | None = None,
        densepose_in_features: list[str] | None = None,
        densepose_decoder: nn.Module | None = None,
        densepose_pooler: nn.Module | None = None,
        densepose_head: nn.Module | None = None,
        densepose_predictor: nn.Module | None = None,
        densepose_loss: Any = None,
        densepose_embedder: nn.Module | None = None,
        densepose_class_meshes: Sequence[str] | None = None,
        densepose_iou_threshold: float = 0.7,
        densepose_fully_convolutional: bool = False,
        densepose_precision: str = "fp32",
        densepose_parts_together: bool = False,
        densepose_person_threshold: float = 0.5,
        cascade: DensePoseCascade | None = None,
        **kwargs: Any,
    ):
        """
        Args:
            box_refinements: at inference, apply the box head to its own boxes so many more times.
            second_look: lowers the scores of boxes on animals, cars, etc. at inference.
            densepose_in_features: names of the feature levels. None: no dense pose.
            densepose_decoder: makes one map of all levels; None: pool from the levels.
            densepose_pooler: (list of maps, list of boxes) -> RoI features.
            densepose_head, densepose_predictor: RoI features -> features -> maps.
            densepose_fully_convolutional: the head is applied to the decoder's map, and RoIs are
                pooled from its features (DP-FCN, section 4.2).
            densepose_loss: (RoIs, maps), and the embedder if there is one -> dict of losses.
            densepose_embedder: for CSE models: mesh name -> embeddings of its vertices.
            densepose_class_meshes: name of the mesh of each class, for CSE models.
            densepose_iou_threshold: train RoIs whose IoU with their ground-truth box is above this.
            densepose_precision: of the branch at inference: fp32, bf16 or fp16.
            densepose_parts_together: at inference, return the coarse parts as one channel of the
                person, with the sum of their probabilities.
            densepose_person_threshold: probability above which a pixel belongs to the person, at
                inference. (Without ``densepose_parts_together``: the odds are those of the best
                part against the background.)
            cascade: the stages after the first.
            kwargs: as for StandardROIHeads.
        """
        super().__init__(**kwargs)
        if box_refinements < 0:
            raise ValueError(
                f"MODEL.ROI_BOX_HEAD.REFINEMENTS = {box_refinements}, expected 0 or more"
            )
        self.box_refinements = box_refinements
        self.second_look: Any = second_look
        self.second_look_on = second_look is not None
        if densepose_precision not in PRECISIONS:
            raise ValueError(
                f"precision {densepose_precision!r}, expected one of {', '.join(PRECISIONS)}"
            )
        if not 0 < densepose_person_threshold < 1:
            raise ValueError(
                "MODEL.ROI_DENSEPOSE_HEAD.PERSON_THRESHOLD ="
                f" {densepose_person_threshold}, expected a number between 0 and 1"
            )
        #: Draw the RoIs of all images of a batch at once: see :func:`train_in_batches`.
        self.samples_in_batches = False
        self.densepose_on = densepose_in_features is not None
        self.cascade: Any = cascade
        if densepose_in_features is None:
            return
        self.densepose_in_features = densepose_in_features
        # Without a prefix, as in published checkpoints.
        self.decoder: Any = densepose_decoder
        self.densepose_pooler: Any = densepose_pooler
        self.densepose_head: Any = densepose_head
        self.densepose_predictor: Any = densepose_predictor
        self.densepose_loss = densepose_loss
        # A submodule only in CSE models. Named as in published checkpoints.
        self.embedder: Any = densepose_embedder
        self.densepose_class_meshes = densepose_class_meshes or ()
        self.densepose_iou_threshold = densepose_iou_threshold
        self.densepose_fully_convolutional = densepose_fully_convolutional
        self.densepose_precision = densepose_precision
        self.densepose_parts_together = densepose_parts_together
        self.densepose_person_threshold = densepose_person_threshold

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict:
        arguments = super().from_config(cfg, input_shape)
        arguments["box_refinements"] = cfg.MODEL.ROI_BOX_HEAD.REFINEMENTS
        arguments["second_look"] = build_second_look(cfg)
        for name in ("box_pooler", "mask_pooler", "keypoint_pooler"):
            if arguments.get(name) is not None:
                arguments[name] = RowPooler(arguments[name])
        if cfg.MODEL.DENSEPOSE_ON:
            check_config(cfg)
            arguments.update(cls._init_densepose(cfg, input_shape))
        in_features = cfg.MODEL.ROI_HEADS.IN_FEATURES
        level_channels = input_shape[in_features[0]].channels
        decoder = arguments.get("densepose_decoder")
        arguments["cascade"] = build_cascade(
            cfg, decoder.output_channels if decoder is not None else level_channels, level_channels
        )
        return arguments

    @classmethod
    def _init_densepose(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict:
        head_cfg = cfg.MODEL.ROI_DENSEPOSE_HEAD
        in_features = cfg.MODEL.ROI_HEADS.IN_FEATURES
        if head_cfg.DECODER_ON:
            decoder = DensePoseDecoder(cfg, input_shape)
            strides, channels = [decoder.stride], decoder.output_channels
        else:
            decoder = None
            strides = [input_shape[name].stride for name in in_features]
            channels = input_shape[in_features[0]].channels
        head: Any = build_densepose_head(cfg, channels)
        return {
            "densepose_in_features": in_features,
            "densepose_decoder": decoder,
            "densepose_pooler": RowPooler(
                ROIPooler(
                    output_size=head_cfg.POOLER_RESOLUTION,
                    scales=[1.0 / stride for stride in strides],
                    sampling_ratio=head_cfg.POOLER_SAMPLING_RATIO,
                    pooler_type=head_cfg.POOLER_TYPE,
                )
            ),
            "densepose_head": head,
            "densepose_predictor": build_densepose_predictor(cfg, head.output_channels),
            "densepose_loss": build_densepose_loss(cfg),
            **(
                {
                    "densepose_embedder": build_embedder(cfg),
                    "densepose_class_meshes": class_meshes(cfg),
                }
                if is_cse_config(cfg)
                else {}
            ),
            "densepose_iou_threshold": head_cfg.FG_IOU_THRESHOLD,
            "densepose_fully_convolutional": head_cfg.FULLY_CONVOLUTIONAL,
            "densepose_precision": head_cfg.INFERENCE_PRECISION,
            "densepose_parts_together": head_cfg.COARSE_PARTS_TOGETHER,
            "densepose_person_threshold": head_cfg.PERSON_THRESHOLD,
        }

    def forward(
        self,
        images: ImageList,
        features: dict[str, torch.Tensor],
        proposals: list[Instances],
        targets: list[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, torch.Tensor]]:
        """See :meth:`detectron2.modeling.ROIHeads.forward`."""
        if not self.training:
            instances = self._forward_box(features, proposals)
            if self.second_look_on:
                instances = self.second_look.rescored(images.tensor, instances)
            return self.forward_with_given_boxes(features, instances), {}
        instances, losses = super().forward(images, features, proposals, targets)
        if self.densepose_on:
            losses.update(self._densepose_losses(features, instances))
        return instances, losses

    def label_and_sample_proposals(
        self, proposals: list[Instances], targets: list[Instances]
    ) -> list[Instances]:
        """See :meth:`detectron2.modeling.ROIHeads.label_and_sample_proposals`."""
        if self.samples_in_batches and can_sample(proposals, targets):
            return label_and_sample(self, proposals, targets)
        return super().label_and_sample_proposals(proposals, targets)

    def forward_with_given_boxes(
        self, features: dict[str, torch.Tensor], instances: list[Instances]
    ) -> list[Instances]:
        """See :meth:`detectron2.modeling.StandardROIHeads.forward_with_given_boxes`."""
        instances = super().forward_with_given_boxes(features, instances)
        boxes = [image.pred_boxes for image in instances]
        outputs = {} if self.cascade is None else self._cascade_inference(features, boxes)
        for task in ("mask", "keypoint"):
            if task in outputs:
                instances = self.cascade.last.forward_from_output(task, outputs[task], instances)
        if self.densepose_on:
            output = self._densepose_inference(features, boxes, outputs.get("densepose"))
            if isinstance(output, DensePoseEmbeddingOutput):
                classes = torch.cat([image.pred_classes for image in instances])
                output.meshes = self._meshes_of(classes)
            first = 0
            for image in instances:
                image.pred_densepose = output[first : first + len(image)]
                first += len(image)
        return instances

    def _forward_box(self, features: dict[str, torch.Tensor], proposals: list[Instances]):
        if not self.training:
            levels = [features[name] for name in self.box_in_features]
            for _ in range(self.box_refinements):
                boxes = [image.proposal_boxes for image in proposals]
                predictions = self.box_predictor(self.box_head(self.box_pooler(levels, boxes)))
                proposals = refined(proposals, predictions, self.box_predictor)
        return super()._forward_box(features, proposals)

    def _densepose_losses(
        self, features: dict[str, torch.Tensor], proposals: list[Instances]
    ) -> dict[str, torch.Tensor]:
        # A batch without RoIs to train on still runs through all layers, so that every parameter
        # has a gradient, and the processes of distributed training stay in step.
        with_people = [image for image in proposals if image.has("gt_boxes")]
        if with_people and not any(image.has("gt_densepose") for image in with_people):
            _warn_without_annotations()
        proposals = foreground(proposals, self.num_classes)
        if self.cascade is not None:
            return self._cascade_losses(features, proposals)
        proposals = self._select_annotated(proposals)
        rois = self._densepose_rois(features, [image.proposal_boxes for image in proposals])
        return self._densepose_loss(proposals, self.densepose_predictor(self._headed(rois)))

    def _densepose_loss(self, proposals: list[Instances], output) -> dict[str, torch.Tensor]:
        if self.embedder is not None:
            return self.densepose_loss(proposals, output, self.embedder)
        return self.densepose_loss(proposals, output)

    def _select_annotated(self, proposals: list[Instances]) -> list[Instances]:
        boxes = [image.proposal_boxes for image in proposals]
        # Images without people have no ground-truth boxes, and no foreground RoIs either.
        gt_boxes = [image.gt_boxes for image in proposals if len(image)]
        if not gt_boxes:
            return proposals
        near = matched_pairwise_iou(Boxes.cat(gt_boxes), Boxes.cat(boxes))
        annotated = torch.cat([self._is_annotated(image) for image in proposals])
        return select(proposals, annotated & (near > self.densepose_iou_threshold))

    def _is_annotated(self, image: Instances) -> torch.Tensor:
        """(RoIs,) bool."""
        device = image.proposal_boxes.device
        if self.densepose_loss.segm_from_instance_masks and image.has("gt_masks"):
            return torch.ones(len(image), dtype=torch.bool, device=device)
        if image.has("gt_densepose"):
            return image.gt_densepose.present
        return torch.zeros(len(image), dtype=torch.bool, device=device)

    @torch.no_grad()
    def _densepose_inference(
        self,
        features: dict[str, torch.Tensor],
        boxes: list[Boxes],
        last_stage: BranchOutput | None = None,
    ) -> DensePoseOutput | DensePoseEmbeddingOutput:
        """Maps of all boxes.

        Args:
            last_stage: the output of a cascade's last stage, if it is known.
        """
        if self.cascade is not None and last_stage is None:
            last_stage = self._cascade_inference(features, boxes)["densepose"]
        if last_stage is None:
            rois = self._densepose_rois(features, boxes)
            with self._precision():
                output = self.densepose_predictor(self._headed(rois))
        else:
            output = self.cascade.last.densepose_predictor.output(last_stage.outputs)
        if self.densepose_parts_together:
            person = output.coarse_segm[:, 1:].logsumexp(1, keepdim=True)
            output.coarse_segm = torch.cat([output.coarse_segm[:, :1], person], 1)
        if self.densepose_person_threshold != 0.5:
            # Results take the larger logit, a threshold of .5, so the background is shifted.
            odds = self.densepose_person_threshold / (1 - self.densepose_person_threshold)
            background, rest = output.coarse_segm[:, :1], output.coarse_segm[:, 1:]
            output.coarse_segm = torch.cat([background + math.log(odds), rest], 1)
        return output

    @torch.no_grad()
    def _meshes_of(self, classes: torch.Tensor) -> MeshesOfPeople:
        """The meshes of people of classes (N,)."""
        names = self.embedder.mesh_names
        number = {name: n for n, name in enumerate(names)}
        numbers = [number.get(name, -1) for name in self.densepose_class_meshes]
        mesh_of_person = torch.tensor(numbers, device=classes.device)[classes]
        if (mesh_of_person < 0).any():
            unknown = int(classes[mesh_of_person < 0][0])
            raise ValueError(
                f"class {unknown} has no mesh: DATASETS.CLASS_TO_MESH_NAME_MAPPING.{unknown} is not"
                f" one of {', '.join(names)}"
            )
        used = {name: self.embedder(name).float() for name in names}
        return MeshesOfPeople(used, mesh_of_person)

    def _densepose_rois(
        self, features: dict[str, torch.Tensor], boxes: list[Boxes]
    ) -> torch.Tensor:
        """(RoIs, channels, s, s)."""
        if self.training:
            return self.densepose_pooler(self._decode(features), boxes)
        with self._precision():
            maps = self._decode(features)
        # Pooling in single precision: it rounds boxes to the precision of the features.
        rois = self.densepose_pooler([level.float() for level in maps], boxes)
        return rois.contiguous(memory_format=torch.channels_last)

    def _headed(self, rois: torch.Tensor) -> torch.Tensor:
        """The head's features of pooled RoIs."""
        return rois if self.densepose_fully_convolutional else self.densepose_head(rois)

    def _precision(self) -> torch.autocast:
        """Context for the precision of the dense pose branch at inference."""
        dtype = PRECISIONS[self.densepose_precision]
        return computed_in(dtype, next(self.densepose_predictor.parameters()).device)

    def _decode(self, features: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        if self.densepose_fully_convolutional:
            return [self.densepose_head(self.decoder(features))]
        if self.decoder is not None:
            return [self.decoder(features)]
        return [features[name] for name in self.densepose_in_features]


@functools.cache
def _warn_without_annotations() -> None:
    """Warns once that Detectron2's own mapper, or another one, has left out the dense pose."""
    logger.warning(
        "the people of a training batch have no gt_densepose, so dense pose is not trained on them:"
        " use the loader of build_densepose_train_loader, or a DensePoseDatasetMapper"
    )
