"""HRNet as the backbone of an R-CNN.

The trunk has parallel branches of four resolutions (Sun et al., "Deep High-Resolution
Representation Learning for Human Pose Estimation", CVPR 2019). The neck concatenates them and makes
a pyramid of the result (HRNetV2p: Wang et al., "Deep High-Resolution Representation Learning for
Visual Recognition", PAMI 2020, section 3.3). Layers are timm's, with its names, which published
checkpoints have too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from fvcore.nn.weight_init import c2_xavier_fill
from torch import nn
from torch.nn import functional as F

from ..registry import register_shared
from .timm_weights import require_timm

_STAGES = ("STAGE2", "STAGE3", "STAGE4")
_BLOCKS = ("BASIC", "BOTTLENECK")
_STEM_CHANNELS = 64
_NUM_LEVELS = 5


class HRNet(nn.Module):
    """The trunk: from a picture to four maps, of strides 4, 8, 16 and 32.

    Pictures can have any size: if a side is not a multiple of 32, upsampled maps are cropped to the
    finer ones to which they are added.
    """

    def __init__(self, stages: Sequence[Mapping]):
        """
        Args:
            stages: of the second, third and fourth stage: num_modules, block_type ("BASIC" or
                "BOTTLENECK"), and num_blocks and num_channels of each branch.
        """
        super().__init__()
        require_timm("build_hrfpn_backbone")
        from timm.models.hrnet import HighResolutionNet, block_types_dict

        first = {"block_type": "BOTTLENECK", "num_blocks": (4,), "num_channels": (_STEM_CHANNELS,)}
        settings = {"stem_width": _STEM_CHANNELS, "stage1": first}
        for number, stage in enumerate(stages, 2):
            branches = {"num_branches": len(stage["num_channels"]), "fuse_method": "SUM"}
            settings[f"stage{number}"] = {**stage, **branches}
        trunk = HighResolutionNet(settings, head="")
        for name, child in trunk.named_children():
            if name not in ("global_pool", "head_drop", "classifier"):
                self.add_module(name, child)
        expansion = block_types_dict[stages[-1]["block_type"]].expansion
        self.channels = [channels * expansion for channels in stages[-1]["num_channels"]]

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) -> (B, channels[i], H / 2^(i + 2), W / 2^(i + 2)) for i in 0..3."""
        x = self.act1(self.bn1(self.conv1(image)))
        x = self.act2(self.bn2(self.conv2(x)))
        maps = [self.layer1(x)]
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            # A new branch starts from the coarsest map so far.
            coarsest = len(maps) - 1
            maps = [layer(maps[min(i, coarsest)]) for i, layer in enumerate(transition)]
            for module in stage:
                maps = self._exchange(module, maps)
        return maps

    @staticmethod
    def _exchange(module: nn.Module, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Runs each branch, then fuses all of them into each resolution."""
        maps = [branch(x) for branch, x in zip(module.branches, maps)]
        fused = []
        for own, layers in zip(maps, module.fuse_layers):
            height, width = own.shape[2:]
            terms = (layer(x)[:, :, :height, :width] for layer, x in zip(layers, maps))
            fused.append(module.fuse_act(sum(terms)))
        return fused


class HRFPN(Backbone):
    """The neck: upsamples and concatenates the four maps of HRNet, and pools levels p1 to p5.

    The levels have strides 4, 8, 16, 32 and 64, and each is exactly twice as large as the next: as
    in the official project, up to a cell of p5 is cut off on the right and at the bottom.
    """

    def __init__(self, bottom_up: HRNet, *, out_channels: int = 256):
        """
        Args:
            bottom_up: the trunk.
            out_channels: channels of each level.
        """
        super().__init__()
        self.bottom_up = bottom_up
        # 4 x 4 transposed convolutions return maps of slightly different sizes: see forward.
        self.interp_conv = nn.ModuleList(
            _normalized(nn.ConvTranspose2d(channels, channels, 4, stride=2**i, bias=False))
            for i, channels in enumerate(bottom_up.channels)
        )
        self.reduction_pooling_conv = nn.ModuleList(
            _normalized(nn.Conv2d(sum(bottom_up.channels), out_channels, 2**i, stride=2**i))
            for i in range(_NUM_LEVELS)
        )
        self.fpn_conv = nn.ModuleList(
            nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in range(_NUM_LEVELS)
        )
        for layers in (self.interp_conv, self.reduction_pooling_conv, self.fpn_conv):
            for layer in layers.modules():
                if isinstance(layer, nn.Conv2d):
                    c2_xavier_fill(layer)
        self._out_features = [f"p{i + 1}" for i in range(_NUM_LEVELS)]
        self._out_feature_strides = {name: 4 * 2**i for i, name in enumerate(self._out_features)}
        self._out_feature_channels = dict.fromkeys(self._out_features, out_channels)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, 3, H, W) -> (B, out_channels, H / stride, W / stride) by name."""
        enlarged = [layer(x) for layer, x in zip(self.interp_conv, self.bottom_up(image))]
        height = min(x.shape[2] for x in enlarged)
        width = min(x.shape[3] for x in enlarged)
        joined = torch.cat([x[:, :, :height, :width] for x in enlarged], dim=1)
        # Pictures smaller than a cell of p5 still have one.
        cell = 2 ** (_NUM_LEVELS - 1)
        joined = F.pad(joined, (0, max(0, cell - width), 0, max(0, cell - height)))
        rows, columns = joined.shape[2] // cell, joined.shape[3] // cell
        levels = {}
        for i, name in enumerate(self._out_features):
            level = self.reduction_pooling_conv[i](joined)
            factor = cell // 2**i
            levels[name] = self.fpn_conv[i](level[:, :, : rows * factor, : columns * factor])
        return levels


def _normalized(conv: nn.Module) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True))


@register_shared(BACKBONE_REGISTRY)
def build_hrfpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> HRFPN:
    """HRNet with its neck, with the widths and depths of MODEL.HRNET. Batch norms are trained.

    Raises:
        ValueError: pictures do not have 3 channels, or a setting is invalid.
        ModuleNotFoundError: timm is not installed.
    """
    if input_shape.channels != 3:
        raise ValueError(f"HRNet takes pictures of 3 channels, not {input_shape.channels}")
    hrnet = cfg.MODEL.HRNET
    if hrnet.STEM_INPLANES != _STEM_CHANNELS:
        raise ValueError(
            f"MODEL.HRNET.STEM_INPLANES = {hrnet.STEM_INPLANES}, expected {_STEM_CHANNELS}"
        )
    stages = [_stage(key, hrnet[key], branches) for branches, key in enumerate(_STAGES, 2)]
    return HRFPN(HRNet(stages), out_channels=hrnet.HRFPN.OUT_CHANNELS)


def _stage(key: str, node: CfgNode, branches: int) -> dict:
    for name, allowed in (
        ("NUM_BRANCHES", (branches,)),
        ("BLOCK", _BLOCKS),
        ("FUSE_METHOD", ("SUM",)),
    ):
        if node[name] not in allowed:
            raise ValueError(
                f"MODEL.HRNET.{key}.{name} = {node[name]!r}, expected"
                f" {' or '.join(map(repr, allowed))}"
            )
    for name in ("NUM_BLOCKS", "NUM_CHANNELS"):
        if len(node[name]) != branches or any(n < 1 for n in node[name]):
            raise ValueError(
                f"MODEL.HRNET.{key}.{name} = {list(node[name])}, expected {branches} whole numbers"
                " from 1 on, one for each branch"
            )
    if node.NUM_MODULES < 1:
        raise ValueError(f"MODEL.HRNET.{key}.NUM_MODULES = {node.NUM_MODULES}, expected 1 or more")
    return {
        "num_modules": node.NUM_MODULES,
        "block_type": node.BLOCK,
        "num_blocks": tuple(node.NUM_BLOCKS),
        "num_channels": tuple(node.NUM_CHANNELS),
    }
