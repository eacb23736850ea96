"""Where dense pose heads, predictors and losses are found by the name in the config.

Your own part is registered with ``@ROI_DENSEPOSE_HEAD_REGISTRY.register()`` (and so on) and named
in ``MODEL.ROI_DENSEPOSE_HEAD``.
"""

from __future__ import annotations

from detectron2.config import CfgNode
from detectron2.utils.registry import Registry
from torch import nn

ROI_DENSEPOSE_HEAD_REGISTRY = Registry("ROI_DENSEPOSE_HEAD")
ROI_DENSEPOSE_HEAD_REGISTRY.__doc__ = """
Heads: a module called with the features of N RoIs (N, input_channels, s, s), giving
(N, output_channels, s, s); built with (cfg, input_channels), with an attribute ``output_channels``.
"""

DENSEPOSE_PREDICTOR_REGISTRY = Registry("DENSEPOSE_PREDICTOR")
DENSEPOSE_PREDICTOR_REGISTRY.__doc__ = """
Predictors: a module called with the features of a head, giving a ``DensePoseOutput``, in training
or a ``DeferredOutput``; built with (cfg, input_channels).
"""

DENSEPOSE_LOSS_REGISTRY = Registry("DENSEPOSE_LOSS")
DENSEPOSE_LOSS_REGISTRY.__doc__ = """
Losses: called with the RoIs of each image (``Instances`` with ``proposal_boxes``, ``gt_boxes``,
``gt_densepose``) and the predictor's output for all of them, giving a dict of scalars; built
with (cfg).
"""


def _build(registry: Registry, key: str, cfg: CfgNode, *args):
    name = cfg.MODEL.ROI_DENSEPOSE_HEAD[key]
    if name not in registry:
        known = ", ".join(sorted(known_name for known_name, _ in registry))
        raise ValueError(f"MODEL.ROI_DENSEPOSE_HEAD.{key} = {name!r}, expected one of: {known}")
    return registry.get(name)(cfg, *args)


def build_densepose_head(cfg: CfgNode, input_channels: int) -> nn.Module:
    """The head that ``MODEL.ROI_DENSEPOSE_HEAD.NAME`` names."""
    return _build(ROI_DENSEPOSE_HEAD_REGISTRY, "NAME", cfg, input_channels)


def build_densepose_predictor(cfg: CfgNode, input_channels: int) -> nn.Module:
    """The predictor that ``MODEL.ROI_DENSEPOSE_HEAD.PREDICTOR_NAME`` names."""
    return _build(DENSEPOSE_PREDICTOR_REGISTRY, "PREDICTOR_NAME", cfg, input_channels)


def build_densepose_loss(cfg: CfgNode):
    """The loss that ``MODEL.ROI_DENSEPOSE_HEAD.LOSS_NAME`` names."""
    return _build(DENSEPOSE_LOSS_REGISTRY, "LOSS_NAME", cfg)
