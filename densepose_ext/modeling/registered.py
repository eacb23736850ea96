"""Importing this module registers everything that configs refer to with Detectron2."""

from . import (
    backbones,
    cse_loss,
    deeplab,
    embedding_predictor,
    heads,
    hrnet,
    losses,
    predictor,
    roi_heads,
    teacher,
)

__all__ = [
    "backbones",
    "cse_loss",
    "deeplab",
    "embedding_predictor",
    "heads",
    "hrnet",
    "losses",
    "predictor",
    "roi_heads",
    "teacher",
]
