"""Importing this module registers everything that configs refer to with Detectron2."""

from . import deeplab, heads, losses, predictor, roi_heads, teacher
from .backbones import hrnet, timm_fpn
from .embeddings import loss as embedding_loss
from .embeddings import predictor as embedding_predictor

__all__ = [
    "deeplab",
    "embedding_loss",
    "embedding_predictor",
    "heads",
    "hrnet",
    "losses",
    "predictor",
    "roi_heads",
    "teacher",
    "timm_fpn",
]
