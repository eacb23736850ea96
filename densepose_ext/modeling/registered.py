"""Importing this module registers with Detectron2 all that configs name."""

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
