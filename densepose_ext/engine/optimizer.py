"""The optimizer of a config: SGD, AdamW or Muon."""

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

#: Vertex embeddings, which have their own learning rates.
_EMBEDDER = "roi_heads.embedder."

#: Names of the last layers of the RPN and of each head.
_LAST = (
    "objectness_logits",
    "anchor_deltas",
    "box_predictor",
    "mask_head.predictor",
    "keypoint_head.score_lowres",
    "densepose_predictor",
)


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """An optimizer of the trainable parameters of ``model``.

    SGD is Detectron2's. With AdamW (Loshchilov and Hutter, ICLR 2019), SOLVER.BACKBONE_LR_FACTOR
    scales the learning rate of the layers below the FPN, which are pretrained, unlike the others.
    With Muon (see :class:`MuonAdamW`), the hidden layers above these are trained by Muon and all
    others by AdamW. With each of the three, CSE.EMBEDDING_LR_FACTOR and FEATURES_LR_FACTOR scale
    the learning rates of vertex embeddings and of their features.
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
    # A fused step is one pass over all values instead of a dozen small operations per parameter.
    # Not on a GPU, where it would clip gradients before mixed precision has unscaled them.
    on_cpu = {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    if on_cpu and torch.__version__ >= (2, 4):  # older versions fuse on GPUs only
        arguments["fused"] = True
    return maybe_add_gradient_clipping(cfg, kind)(parameters, **arguments)


def _lr_factors(cfg: CfgNode) -> Callable[[str], float]:
    """A function from the name of a parameter to the factor of its learning rate."""
    cse = cfg.MODEL.ROI_DENSEPOSE_HEAD.CSE

    def factor(name: str) -> float:
        if name.startswith(_EMBEDDER):
            is_features = name.endswith(".features")
            return cse.FEATURES_LR_FACTOR if is_features else cse.EMBEDDING_LR_FACTOR
        return cfg.SOLVER.BACKBONE_LR_FACTOR if name.startswith(_PRETRAINED) else 1.0

    return factor


def hidden_weights(model: nn.Module) -> set[nn.Parameter]:
    """Matrices and convolutions for Muon: those neither pretrained nor the last of their branch.

    Depthwise convolutions are left out: their channels are independent.
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
    """Splits groups into those of hidden weights, for Muon, and those of other parameters."""
    split = []
    for group in groups:
        for orthogonal in (False, True):
            members = [p for p in group["params"] if (p in hidden) == orthogonal]
            if members:
                split.append({**group, "params": members, "orthogonal": orthogonal})
    return split
