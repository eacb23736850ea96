"""Registries of dense pose heads, predictors and losses, which configs refer to by name.

Register your own with ``@ROI_DENSEPOSE_HEAD_REGISTRY.register()`` (and so on), and name it in
``MODEL.ROI_DENSEPOSE_HEAD``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from detectron2.config import CfgNode
from detectron2.utils.registry import Registry
from torch import nn

from ..config import has_own_keys
from ..config.official_package import is_official

ROI_DENSEPOSE_HEAD_REGISTRY = Registry("ROI_DENSEPOSE_HEAD")
ROI_DENSEPOSE_HEAD_REGISTRY.__doc__ = """
Heads: a module called with the features of N RoIs (N, input_channels, s, s), giving
(N, output_channels, s, s); built with (cfg, input_channels), with an attribute ``output_channels``.
"""

DENSEPOSE_PREDICTOR_REGISTRY = Registry("DENSEPOSE_PREDICTOR")
DENSEPOSE_PREDICTOR_REGISTRY.__doc__ = """
Predictors: a module called with the features of a head, giving a ``DensePoseOutput`` or, in
training, a ``DeferredOutput``; built with (cfg, input_channels). A cascade calls it in two steps,
``output(lowres_maps(features))``; ``output_channels`` is the number of channels of the former.
"""

DENSEPOSE_LOSS_REGISTRY = Registry("DENSEPOSE_LOSS")
DENSEPOSE_LOSS_REGISTRY.__doc__ = """
Losses: called with the RoIs of each image (``Instances`` with ``proposal_boxes``, ``gt_boxes``,
``gt_densepose``) and the predictor's output for all of them, giving a dict of scalars; built
with (cfg), with an attribute ``segm_from_instance_masks``: whether people are trained on who have a
mask (``gt_masks``), but no dense pose.
"""


def register_shared(registry: Registry) -> Callable:
    """As ``registry.register()``, for a name that the official package registers, too.

    Both packages can be imported, in either order. The name then stands for both: a config with the
    keys of this package gets this package's object, any other the official one.

    Raises:
        ImportError: another package has registered the name.
    """

    def decorator(ours):
        name = ours.__name__
        if name in registry:
            theirs = registry.get(name)
            if not is_official(theirs):
                raise ImportError(
                    f"{theirs.__module__} has registered another {name} with Detectron2, under the"
                    " name of densepose_ext's: import one of the two only"
                )
            registry._obj_map[name] = _by_config(ours, theirs)
            return ours
        registry.register(ours)
        register = registry._do_register

        def do_register(other: str, obj) -> None:
            if other == name and registry.get(name) is ours and is_official(obj):
                registry._obj_map[name] = _by_config(ours, obj)
            else:
                register(other, obj)

        registry._do_register = do_register
        return ours

    return decorator


def _by_config(ours: Callable, theirs: Callable) -> Callable:
    @functools.wraps(ours, updated=())
    def build(cfg: CfgNode, *args, **kwargs):
        return (ours if has_own_keys(cfg) else theirs)(cfg, *args, **kwargs)

    return build


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
