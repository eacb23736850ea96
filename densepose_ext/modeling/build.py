"""The whole model of a config."""

from __future__ import annotations

import logging

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model as build_detectron2_model
from torch import nn

logger = logging.getLogger(f"detectron2.{__name__}")


def build_model(cfg: CfgNode) -> nn.Module:
    """The model of a config on its device, with random weights except those of the backbone."""
    model = build_detectron2_model(cfg)
    if cfg.MODEL.CHANNELS_LAST:
        model.to(memory_format=torch.channels_last)
    logger.info("Model:\n%s", model)
    return model
