"""timm models as backbones of an R-CNN, with an FPN."""

from __future__ import annotations

import math

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN, Backbone
from detectron2.modeling.backbone.fpn import LastLevelMaxPool
from detectron2.utils.file_io import PathManager
from torch import nn

from .folded_timm_norms import fold_timm_norms
from .timm_weights import checked_weights, package_state_dict, require_timm


class TimmBackbone(Backbone):
    """The feature maps of a timm model, named as in Detectron2's ResNet.

    The map of stride 4 is ``res2``, that of stride 8 ``res3``, and so on.
    """

    def __init__(
        self,
        name: str,
        *,
        weights: str = "",
        norm: str = "FrozenBN",
        freeze_at: int = 2,
        freeze_depthwise: bool = False,
    ):
        """
        Args:
            name: of a timm model that supports ``features_only``.
            weights: "" (random), "timm" (ImageNet, from timm's cache or downloaded),
                "package:NAME" (see WEIGHT_PACKAGES), or a file.
            norm: of the batch norm layers: FrozenBN, BN or SyncBN.
            freeze_at: number of frozen stages; the stem counts as part of the first.
            freeze_depthwise: freeze the kernels of depthwise convolutions.

        Raises:
            ValueError, FileNotFoundError, ModuleNotFoundError: the model, its weights or timm
                cannot be used; the message says why.
        """
        super().__init__()
        timm = require_timm()
        if name not in timm.list_models():
            raise ValueError(
                f"MODEL.TIMM.NAME = {name!r} is not a model of timm {timm.__version__}"
            )
        overlay = {}
        if weights.startswith("package:"):
            overlay = {"state_dict": package_state_dict(weights.removeprefix("package:"))}
        elif weights not in ("", "timm"):
            if not PathManager.isfile(weights):
                raise FileNotFoundError(f"MODEL.TIMM.WEIGHTS: there is no file {weights}")
            overlay = {"file": checked_weights(PathManager.get_local_path(weights))}
        self.body = timm.create_model(
            name,
            features_only=True,
            pretrained=bool(weights),
            **({"pretrained_cfg_overlay": overlay} if overlay else {}),
        )
        info = self.body.feature_info
        if len(set(info.reduction())) < len(info.reduction()):
            raise ValueError(
                f"MODEL.TIMM.NAME = {name!r} has features of strides {info.reduction()}, expected"
                " different strides"
            )
        self._out_features, self._out_feature_strides, self._out_feature_channels = [], {}, {}
        for stride, channels in zip(info.reduction(), info.channels()):
            feature = f"res{int(math.log2(stride))}"
            self._out_features.append(feature)
            self._out_feature_strides[feature] = stride
            self._out_feature_channels[feature] = channels
        self._freeze(freeze_at)
        if freeze_depthwise:
            for module in self.body.modules():
                if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
                    module.weight.requires_grad_(False)
        self._set_norm(norm)
        self._check_any_size(name)
        if norm == "FrozenBN":
            fold_timm_norms(self.body, torch.zeros(1, 3, 64, 96))

    @torch.no_grad()
    def _check_any_size(self, name: str) -> None:
        """Fail now, not at the first picture, if a model accepts only one picture size."""
        was_training = self.training
        self.eval()
        try:
            features = self(torch.zeros(1, 3, 64, 96))
        except (RuntimeError, AssertionError) as error:
            raise ValueError(
                f"MODEL.TIMM.NAME = {name!r} does not take pictures of any size: {error}"
            ) from error
        self.train(was_training)
        for feature, shape in self.output_shape().items():
            found = tuple(features[feature].shape[1:])
            expected = (shape.channels, 64 // shape.stride, 96 // shape.stride)
            if found != expected:
                raise ValueError(
                    f"MODEL.TIMM.NAME = {name!r} gives {feature} of shape {found} for a picture of"
                    f" 64 x 96, expected {expected}"
                )

    def _freeze(self, stages: int) -> None:
        if stages <= 0:
            return
        # timm wraps some models, so that their stages are one level deeper.
        root = "model." if [n for n, _ in self.body.named_children()] == ["model"] else ""
        last_stage = self.body.feature_info.module_name()[:stages][-1]
        # timm flattens lists of features: "layers.0" becomes "layers_0".
        prefixes = tuple(f"{root}{n}." for n in (last_stage, last_stage.replace(".", "_")))
        units = list(self._units(root))
        belongs = [n for n, (name, _) in enumerate(units) if f"{name}.".startswith(prefixes)]
        if not belongs:
            raise ValueError(
                f"MODEL.TIMM.FREEZE_AT = {stages}: cannot tell which layers come before"
                f" {last_stage} in this model, expected 0"
            )
        for name, unit in units[: belongs[-1] + 1]:
            frozen = require_timm().layers.freeze_batch_norm_2d(unit)
            if frozen is not unit:  # the unit is itself a batch norm
                self.body.set_submodule(name, frozen)
            for parameter in frozen.parameters():
                parameter.requires_grad_(False)

    def _units(self, root: str):
        """The model's children in order, with sequences flattened."""
        for name, child in self.body.get_submodule(root.rstrip(".")).named_children():
            if isinstance(child, (nn.Sequential, nn.ModuleList)):
                yield from ((f"{root}{name}.{n}", part) for n, part in child.named_children())
            else:
                yield f"{root}{name}", child

    def _set_norm(self, norm: str) -> None:
        timm = require_timm()
        if norm == "FrozenBN":
            self.body = timm.layers.freeze_batch_norm_2d(self.body)
        elif norm == "SyncBN":
            self.body = timm.layers.convert_sync_batchnorm(self.body)
        elif norm != "BN":
            raise ValueError(f"MODEL.TIMM.NORM = {norm!r}, expected FrozenBN, BN or SyncBN")

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, 3, H, W) -> (B, channels, H / stride, W / stride) by name."""
        return dict(zip(self._out_features, self.body(image)))

    def output_shape(self) -> dict[str, ShapeSpec]:
        return {
            name: ShapeSpec(
                channels=self._out_feature_channels[name], stride=self._out_feature_strides[name]
            )
            for name in self._out_features
        }


@BACKBONE_REGISTRY.register()
def build_timm_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """An FPN on the timm model of MODEL.TIMM, with the settings of MODEL.FPN.

    Raises:
        ValueError: the model lacks a feature map of MODEL.FPN.IN_FEATURES.
    """
    if input_shape.channels != 3:
        raise ValueError(f"a timm backbone takes images of 3 channels, not {input_shape.channels}")
    body = TimmBackbone(
        cfg.MODEL.TIMM.NAME,
        weights=cfg.MODEL.TIMM.WEIGHTS,
        norm=cfg.MODEL.TIMM.NORM,
        freeze_at=cfg.MODEL.TIMM.FREEZE_AT,
        freeze_depthwise=cfg.MODEL.TIMM.FREEZE_DEPTHWISE,
    )
    missing = [name for name in cfg.MODEL.FPN.IN_FEATURES if name not in body.output_shape()]
    if missing:
        strides = {name: shape.stride for name, shape in body.output_shape().items()}
        raise ValueError(
            f"MODEL.FPN.IN_FEATURES: {cfg.MODEL.TIMM.NAME} has no {', '.join(missing)}, only"
            f" {strides} (name: stride)"
        )
    return FPN(
        bottom_up=body,
        in_features=cfg.MODEL.FPN.IN_FEATURES,
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        top_block=LastLevelMaxPool(),
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )
