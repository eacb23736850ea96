"""The decoder: brings the FPN levels to a common stride and sums them, as one map for all RoIs.

Its layers are those of the semantic branch of Panoptic FPN (Kirillov et al., CVPR 2019, figure 3).
"""

from __future__ import annotations

import math

import fvcore.nn.weight_init as weight_init
import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import Conv2d, ShapeSpec, get_norm
from torch import nn
from torch.nn import functional as F


class DensePoseDecoder(nn.Module):
    """Sums FPN levels at a common stride.

    A level of stride s passes max(1, log2(s / common_stride)) times through a 3 x 3 convolution
    and a ReLU, followed by x2 bilinear upsampling if s > common_stride. The sum passes through a
    1 x 1 convolution.
    """

    @configurable
    def __init__(
        self,
        input_shape: dict[str, ShapeSpec],
        *,
        conv_dim: int,
        output_channels: int,
        common_stride: int = 4,
        norm: str = "",
    ):
        """
        Args:
            input_shape: channels and stride of each level, by its name.
            conv_dim: channels inside.
            output_channels: channels of the result.
            common_stride: stride of the result; no level may have a smaller one.
            norm: name of a normalization layer of Detectron2, or "".

        Raises:
            ValueError: the stride of a level is not ``common_stride`` times a power of 2.
        """
        super().__init__()
        self.in_features = list(input_shape)
        self.output_channels = output_channels
        self.stride = common_stride
        for name, shape in input_shape.items():
            steps = math.log2(shape.stride / common_stride)
            if steps < 0 or steps != int(steps):
                raise ValueError(
                    f"level {name} has stride {shape.stride}, expected {common_stride} (DECODER_"
                    "COMMON_STRIDE) times a power of 2"
                )
            layers: list[nn.Module] = []
            for step in range(max(1, int(steps))):
                conv = Conv2d(
                    conv_dim if step else shape.channels,
                    conv_dim,
                    kernel_size=3,
                    padding=1,
                    bias=not norm,
                    norm=get_norm(norm, conv_dim),
                    activation=F.relu,
                )
                weight_init.c2_msra_fill(conv)
                layers.append(conv)
                if steps:
                    layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            # In checkpoints, layers have the name of their level.
            self.add_module(name, nn.Sequential(*layers))
        self.predictor = Conv2d(conv_dim, output_channels, kernel_size=1)
        weight_init.c2_msra_fill(self.predictor)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict:
        head = cfg.MODEL.ROI_DENSEPOSE_HEAD
        return {
            "input_shape": {name: input_shape[name] for name in cfg.MODEL.ROI_HEADS.IN_FEATURES},
            "conv_dim": head.DECODER_CONV_DIMS,
            "output_channels": head.DECODER_NUM_CLASSES,
            "common_stride": head.DECODER_COMMON_STRIDE,
            "norm": head.DECODER_NORM,
        }

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Sums the levels of B images.

        Args:
            features: (B, channels, H / s, W / s) of each level, of stride s, by its name.

        Returns:
            (B, output_channels, H / common_stride, W / common_stride).
        """
        total = None
        for name in self.in_features:
            level = self.get_submodule(name)(features[name])
            total = level if total is None else total + level
        return self.predictor(total)
