"""The numbers of a config and their ranges."""

from __future__ import annotations

import math

from detectron2.config import CfgNode as CN

_HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
_CSE = _HEAD + "CSE."

#: Key: (least, greatest, whether these two are allowed).
_RANGES = {
    _HEAD + "UV_CONFIDENCE.EPSILON": (0, math.inf, False),
    _HEAD + "SEGM_CONFIDENCE.EPSILON": (0, math.inf, False),
    _HEAD + "FG_IOU_THRESHOLD": (0, 1, True),
    _HEAD + "INDEX_WEIGHTS": (0, math.inf, True),
    _HEAD + "PART_WEIGHTS": (0, math.inf, True),
    _HEAD + "POINT_REGRESSION_WEIGHTS": (0, math.inf, True),
    _CSE + "EMBED_LOSS_WEIGHT": (0, math.inf, True),
    _CSE + "EMBEDDING_DIST_GAUSS_SIGMA": (0, math.inf, False),
    _CSE + "GEODESIC_DIST_GAUSS_SIGMA": (0, math.inf, False),
    _CSE + "EMBEDDING_LR_FACTOR": (0, math.inf, True),
    _CSE + "FEATURES_LR_FACTOR": (0, math.inf, True),
    _CSE + "SHAPE_TO_SHAPE_CYCLE_LOSS.WEIGHT": (0, math.inf, True),
    _CSE + "SHAPE_TO_SHAPE_CYCLE_LOSS.TEMPERATURE": (0, math.inf, False),
    _CSE + "PIX_TO_SHAPE_CYCLE_LOSS.WEIGHT": (0, math.inf, True),
    _CSE + "PIX_TO_SHAPE_CYCLE_LOSS.TEMPERATURE_PIXEL_TO_VERTEX": (0, math.inf, False),
    _CSE + "PIX_TO_SHAPE_CYCLE_LOSS.TEMPERATURE_VERTEX_TO_PIXEL": (0, math.inf, False),
    "DENSEPOSE_EVALUATION.MIN_IOU_THRESHOLD": (0, 1, True),
    "INPUT.COLOR_JITTER": (0, 1, True),
    "SOLVER.BACKBONE_LR_FACTOR": (0, math.inf, True),
    "SOLVER.CHECKPOINT_SECONDS": (0, math.inf, True),
}


def check_ranges(cfg: CN) -> None:
    """Checks that the numbers of dense pose are in their ranges.

    Raises:
        ValueError: one is not, or is NaN; the message names key, value and range.
    """
    for key, (least, greatest, inclusive) in _RANGES.items():
        *path, name = key.split(".")
        node = cfg
        for step in path:
            node = node[step]
        value = node[name]
        inside = least <= value <= greatest if inclusive else least < value < greatest
        if not (inside and math.isfinite(value)):
            raise ValueError(f"{key} = {value}, expected {_words(least, greatest, inclusive)}")
    if not 0 <= cfg.SOLVER.BETA2 < 1:
        raise ValueError(f"SOLVER.BETA2 = {cfg.SOLVER.BETA2}, expected at least 0 and less than 1")


def _words(least: float, greatest: float, inclusive: bool) -> str:
    if greatest == math.inf:
        return f"{least} or more" if inclusive else f"a number above {least}"
    return f"a number from {least} to {greatest}"
