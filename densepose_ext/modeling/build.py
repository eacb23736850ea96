"""The whole model of a config."""

from __future__ import annotations

import logging

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model as build_detectron2_model
from detectron2.modeling.roi_heads import BaseKeypointRCNNHead
from torch import nn

from .folded_norms import fold_frozen_norms

logger = logging.getLogger(f"detectron2.{__name__}")


def build_model(cfg: CfgNode) -> nn.Module:
    """The model of a config on its device, with random weights except those of the backbone."""
    model = build_detectron2_model(cfg)
    fold_frozen_norms(model)
    if cfg.MODEL.CHANNELS_LAST:
        model.to(memory_format=torch.channels_last)
        _keep_keypoints_contiguous(model)
    logger.info("Model:\n%s", model)
    return model


def _keep_keypoints_contiguous(model: nn.Module) -> None:
    """Has keypoint heads give heatmaps whose channels come first: Detectron2's loss views them."""
    for head in model.modules():
        if isinstance(head, BaseKeypointRCNNHead):
            last = list(head.children())[-1]
            last.register_forward_hook(lambda _, inputs, heatmaps: heatmaps.contiguous())
