"""Validation of configs."""

from __future__ import annotations

from functools import reduce
from operator import getitem

from detectron2.config import CfgNode as CN
from detectron2.config import get_cfg

from .bootstrapping import bootstrap_settings
from .embeddings import check_cse_config, is_cse_config
from .ranges import check_ranges


def check_config(cfg: CN) -> None:
    """Checks that ``cfg`` is consistent and asks only for what is implemented.

    Raises:
        ValueError: it is not; the message names key, value and what was expected.
    """
    head = cfg.MODEL.ROI_DENSEPOSE_HEAD
    prefix = "MODEL.ROI_DENSEPOSE_HEAD."

    if cfg.MODEL.SECOND_LOOK.ENABLED and cfg.MODEL.ROI_HEADS.NUM_CLASSES != 1:
        raise ValueError(
            f"MODEL.ROI_HEADS.NUM_CLASSES = {cfg.MODEL.ROI_HEADS.NUM_CLASSES}, expected 1 with"
            " MODEL.SECOND_LOOK.ENABLED, which is for models of people only"
        )
    if cfg.FLOAT32_PRECISION and "FLOAT32_PRECISION" not in get_cfg():
        raise ValueError(
            f"FLOAT32_PRECISION = {cfg.FLOAT32_PRECISION!r} needs a newer Detectron2; expected ''"
        )

    check_cse_config(cfg)
    side = head.POOLER_RESOLUTION * 2 * head.UP_SCALE
    coarse_channels = (2,) if head.COARSE_SEGM_TRAINED_BY_MASKS else (2, 15)
    for key, allowed in [
        ("DENSEPOSE_EVALUATION.TYPE", ("cse",) if is_cse_config(cfg) else ("iou",)),
        (prefix + "NUM_PATCHES", (24,)),
        (prefix + "NUM_COARSE_SEGM_CHANNELS", coarse_channels),
        (prefix + "HEATMAP_SIZE", (side,)),
        (prefix + "UV_CONFIDENCE.TYPE", ("iid_iso", "indep_aniso")),
        (prefix + "INFERENCE_PRECISION", ("fp32", "bf16", "fp16")),
        ("SOLVER.AMP.PRECISION", ("fp16", "bf16")),
        ("SOLVER.OPTIMIZER", ("SGD", "AdamW", "Muon")),
    ]:
        value = reduce(getitem, key.split("."), cfg)
        if value not in allowed:
            raise ValueError(
                f"{key} = {value!r}, expected {' or '.join(map(repr, allowed))}"
                " with the other settings of this config"
            )
    bootstrap_settings(cfg)
    dilations = head.ASPP_DILATIONS
    if not dilations or any(not isinstance(d, int) or d < 1 for d in dilations):
        raise ValueError(
            f"{prefix}ASPP_DILATIONS = {dilations}, expected one or more positive whole numbers"
        )
    if head.FULLY_CONVOLUTIONAL and (not head.DECODER_ON or cfg.MODEL.DENSEPOSE_CASCADE.STAGES > 1):
        raise ValueError(
            f"{prefix}FULLY_CONVOLUTIONAL = True, expected False with {prefix}DECODER_ON ="
            f" {head.DECODER_ON} and MODEL.DENSEPOSE_CASCADE.STAGES ="
            f" {cfg.MODEL.DENSEPOSE_CASCADE.STAGES}: it needs the decoder's single map, and has no"
            " further stages"
        )
    check_ranges(cfg)
    if cfg.SOLVER.OPTIMIZER == "SGD" and cfg.SOLVER.BACKBONE_LR_FACTOR != 1.0:
        raise ValueError(
            f"SOLVER.BACKBONE_LR_FACTOR = {cfg.SOLVER.BACKBONE_LR_FACTOR}, expected 1.0 with"
            " SOLVER.OPTIMIZER SGD, which has one learning rate"
        )
