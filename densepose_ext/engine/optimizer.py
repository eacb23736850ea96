"""The optimizer of a config: Detectron2's SGD, AdamW or Muon, slower in a pretrained backbone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from detectron2.config import CfgNode
from detectron2.solver import build_optimizer as build_sgd
from detectron2.solver import get_default_optimizer_params
from detectron2.solver.build import maybe_add_gradient_clipping
from torch import nn

from ..config.embeddings import is_cse_config
from .muon import MuonAdamW

#: The layers below the FPN, which start from ImageNet weights.
_PRETRAINED = "backbone.bottom_up."

#: Embeddings of vertices, whose learning rates are set apart.
_EMBEDDER = "roi_heads.embedder."

#: The last layers of the RPN and of each head, by what Detectron2 and this package call them.
_LAST = (
    "objectness_logits",
    "anchor_deltas",
    "box_predictor",
    "mask_head.predictor",
    "keypoint_head.score_lowres",
    "densepose_predictor",
)


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """An optimizer over the parameters of ``model`` that are trained.

    With AdamW (Loshchilov and Hutter, ICLR 2019) SOLVER.BACKBONE_LR_FACTOR scales the learning
    rate of the layers below the FPN, which start from ImageNet weights while all others are new.
    Muon (see :class:`MuonAdamW`) trains the hidden layers above these, AdamW the rest; its momentum
    is SOLVER.MOMENTUM. SOLVER.BETA2 is AdamW's second. Embeddings of vertices, and their features,
    have factors of their own with all of them: CSE.EMBEDDING_LR_FACTOR and FEATURES_LR_FACTOR.
    """
    if cfg.SOLVER.OPTIMIZER == "SGD" and not is_cse_config(cfg):
        return build_sgd(cfg, model)
    parameters = get_default_optimizer_params(
        model,
        base_lr=cfg.SOLVER.BASE_LR,
        weight_decay=cfg.SOLVER.WEIGHT_DECAY,
        weight_decay_norm=cfg.SOLVER.WEIGHT_DECAY_NORM,
        bias_lr_factor=cfg.SOLVER.BIAS_LR_FACTOR,
        weight_decay_bias=cfg.SOLVER.WEIGHT_DECAY_BIAS,
        lr_factor_func=_lr_factors(cfg),
    )
    if cfg.SOLVER.OPTIMIZER == "SGD":
        sgd = torch.optim.SGD(
            parameters,
            cfg.SOLVER.BASE_LR,
            cfg.SOLVER.MOMENTUM,
            nesterov=cfg.SOLVER.NESTEROV,
            weight_decay=cfg.SOLVER.WEIGHT_DECAY,
            foreach=True,
        )
        return maybe_add_gradient_clipping(cfg, sgd)
    arguments = {
        "lr": cfg.SOLVER.BASE_LR,
        "weight_decay": cfg.SOLVER.WEIGHT_DECAY,
        "betas": (0.9, cfg.SOLVER.BETA2),
    }
    if cfg.SOLVER.OPTIMIZER == "Muon":
        parameters = _hidden_apart(parameters, hidden_weights(model))
        arguments["momentum"] = cfg.SOLVER.MOMENTUM
    kind = {"AdamW": torch.optim.AdamW, "Muon": MuonAdamW}[cfg.SOLVER.OPTIMIZER]
    # One pass over all values in place of a dozen small operations for each parameter. On a GPU a
    # fused step would take gradients that mixed precision has not scaled back yet, and clip them.
    on_cpu = {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    if on_cpu and torch.__version__ >= (2, 4):  # older ones fuse on GPUs alone
        arguments["fused"] = True
    return maybe_add_gradient_clipping(cfg, kind)(parameters, **arguments)


def _lr_factors(cfg: CfgNode) -> Callable[[str], float]:
    """(name of a parameter) -> factor of its learning rate."""
    cse = cfg.MODEL.ROI_DENSEPOSE_HEAD.CSE

    def factor(name: str) -> float:
        if name.startswith(_EMBEDDER):
            is_features = name.endswith(".features")
            return cse.FEATURES_LR_FACTOR if is_features else cse.EMBEDDING_LR_FACTOR
        return cfg.SOLVER.BACKBONE_LR_FACTOR if name.startswith(_PRETRAINED) else 1.0

    return factor


def hidden_weights(model: nn.Module) -> set[nn.Parameter]:
    """Matrices and convolutions that Muon trains: neither pretrained nor the last of their branch.

    Depthwise convolutions, whose channels have nothing to do with each other, are not among them.
    """
    return {
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and parameter.dim() >= 2
        and min(parameter.shape[:2]) > 1
        and not name.startswith((_PRETRAINED, _EMBEDDER))
        and not any(f".{last}." in name for last in _LAST)
    }


def _hidden_apart(groups: list[dict], hidden: set[nn.Parameter]) -> list[dict]:
    """Groups of which each holds only hidden weights, for Muon, or only others."""
    split = []
    for group in groups:
        for orthogonal in (False, True):
            members = [p for p in group["params"] if (p in hidden) == orthogonal]
            if members:
                split.append({**group, "params": members, "orthogonal": orthogonal})
    return split
