"""The numbers of a config and their ranges."""

from __future__ import annotations

import math
from functools import reduce
from operator import getitem

from detectron2.config import CfgNode as CN

_HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
_CSE = _HEAD + "CSE."

#: A range in words: whether a number is in it, and the keys whose numbers have to be.
_RANGES = {
    "a number above 0": (
        lambda value: value > 0,
        (
            _HEAD + "UV_CONFIDENCE.EPSILON",
            _HEAD + "SEGM_CONFIDENCE.EPSILON",
            _CSE + "EMBEDDING_DIST_GAUSS_SIGMA",
            _CSE + "GEODESIC_DIST_GAUSS_SIGMA",
            _CSE + "SHAPE_TO_SHAPE_CYCLE_LOSS.TEMPERATURE",
            _CSE + "PIX_TO_SHAPE_CYCLE_LOSS.TEMPERATURE_PIXEL_TO_VERTEX",
            _CSE + "PIX_TO_SHAPE_CYCLE_LOSS.TEMPERATURE_VERTEX_TO_PIXEL",
        ),
    ),
    "0 or more": (
        lambda value: value >= 0,
        (
            _HEAD + "INDEX_WEIGHTS",
            _HEAD + "PART_WEIGHTS",
            _HEAD + "POINT_REGRESSION_WEIGHTS",
            _CSE + "EMBED_LOSS_WEIGHT",
            _CSE + "EMBEDDING_LR_FACTOR",
            _CSE + "FEATURES_LR_FACTOR",
            _CSE + "SHAPE_TO_SHAPE_CYCLE_LOSS.WEIGHT",
            _CSE + "PIX_TO_SHAPE_CYCLE_LOSS.WEIGHT",
            "SOLVER.BACKBONE_LR_FACTOR",
            "SOLVER.CHECKPOINT_SECONDS",
        ),
    ),
    "a number from 0 to 1": (
        lambda value: 0 <= value <= 1,
        (
            _HEAD + "FG_IOU_THRESHOLD",
            "DENSEPOSE_EVALUATION.MIN_IOU_THRESHOLD",
            "INPUT.COLOR_JITTER",
        ),
    ),
    "at least 0 and less than 1": (
        lambda value: 0 <= value < 1,
        ("SOLVER.BETA2", "SOLVER.EMA_DECAY"),
    ),
}


def check_ranges(cfg: CN) -> None:
    """Checks that the numbers of dense pose are finite and in their ranges.

    Raises:
        ValueError: one is not; the message names key, value and range.
    """
    for expected, (is_in_range, keys) in _RANGES.items():
        for key in keys:
            value = reduce(getitem, key.split("."), cfg)
            if not (is_in_range(value) and math.isfinite(value)):
                raise ValueError(f"{key} = {value}, expected {expected}")
