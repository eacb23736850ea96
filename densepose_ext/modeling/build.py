"""The whole model of a config."""

from __future__ import annotations

import logging

import torch
from detectron2.config import CfgNode
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling import build_model as build_detectron2_model
from detectron2.modeling.roi_heads import BaseKeypointRCNNHead
from detectron2.structures import Instances
from torch import nn

from ..structures import DensePoseAnnotationList
from .backbones.folded_norms import fold_frozen_norms
from .batches.rpn import BatchRPN
from .precision import PRECISIONS

logger = logging.getLogger(f"detectron2.{__name__}")


def build_model(cfg: CfgNode) -> nn.Module:
    """The model of a config on its device, with random weights except those of the backbone."""
    model = build_detectron2_model(cfg)
    fold_frozen_norms(model)
    if cfg.MODEL.CHANNELS_LAST:
        model.to(memory_format=torch.channels_last)
        _keep_keypoints_contiguous(model)
    model.training_dtype = PRECISIONS[cfg.SOLVER.AMP.PRECISION]  # of SOLVER.AMP, for the trainer
    if cfg.MODEL.DEVICE != "cpu":
        train_in_batches(model)
    logger.info("Model:\n%s", model)
    return model


def train_in_batches(model: nn.Module) -> None:
    """Has a GPU match and draw anchors and RoIs in all images of a batch at once.

    A training step is bound by launching small operations there, most of them Detectron2's for each
    image. On a CPU, which does not wait for launches, Detectron2's draws are kept.
    """
    if hasattr(model, "proposal_generator"):
        model.proposal_generator = BatchRPN.of(model.proposal_generator)
    if hasattr(model, "roi_heads"):
        model.roi_heads.samples_in_batches = True
    if isinstance(model, GeneralizedRCNN):
        model.register_forward_pre_hook(_upload_annotations)


def _upload_annotations(model: GeneralizedRCNN, inputs: tuple) -> tuple | None:
    """The annotations of all images go to the device as one list, not a dozen tensors each."""
    batch, *others = inputs
    people = [image.get("instances") for image in batch]
    if not model.training or not all(of and of.has("gt_densepose") for of in people):
        return None
    annotations = DensePoseAnnotationList.cat([of.gt_densepose for of in people])
    annotations = annotations.to(model.device)
    first, moved = 0, []
    for image, of in zip(batch, people):
        of = Instances(of.image_size, **of.get_fields())
        of.gt_densepose = annotations[first : first + len(of)]
        first += len(of)
        moved.append({**image, "instances": of})
    return moved, *others


def _keep_keypoints_contiguous(model: nn.Module) -> None:
    """Has keypoint heads give heatmaps whose channels come first: Detectron2's loss views them."""
    for head in model.modules():
        if isinstance(head, BaseKeypointRCNNHead):
            last = list(head.children())[-1]
            last.register_forward_hook(lambda _, inputs, heatmaps: heatmaps.contiguous())
