"""The plain head: a stack of convolutions on RoI features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import Conv2d
from torch import nn
from torch.nn import functional as F

from .registry import ROI_DENSEPOSE_HEAD_REGISTRY


def add_conv_stack(
    module: nn.Module,
    input_channels: int,
    num_convs: int,
    conv: Callable[[int], nn.Module],
    init: Callable[[nn.Module], None],
) -> None:
    """Adds the layers ``body_conv_fcn1`` to ``body_conv_fcnN`` to ``module``, as in checkpoints.

    Args:
        conv: input channels -> a layer.
        init: initializes a layer in place.
    """
    for number in range(1, num_convs + 1):
        layer = conv(input_channels)
        init(layer)
        module.add_module(f"body_conv_fcn{number}", layer)
        input_channels = layer.out_channels


def run_conv_stack(module: nn.Module, num_convs: int, x: torch.Tensor) -> torch.Tensor:
    """Runs ``x`` through the layers of :func:`add_conv_stack`."""
    for number in range(1, num_convs + 1):
        x = module.get_submodule(f"body_conv_fcn{number}")(x)
    return x


def kaiming_init(layer: nn.Module) -> None:
    """Normal weights that keep the variance of the gradient, zero bias (He et al., ICCV 2015)."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(layer.bias)


@ROI_DENSEPOSE_HEAD_REGISTRY.register()
class DensePoseV1ConvXHead(nn.Module):
    """A stack of 3 x 3 convolutions with ReLU (DensePose, CVPR 2018, section 3.2: eight of 512)."""

    @configurable
    def __init__(self, input_channels: int, *, num_convs: int, conv_dim: int, kernel_size: int = 3):
        """
        Args:
            input_channels: of the RoI features.
            num_convs, conv_dim, kernel_size: number of convolutions, their channels, their size.
        """
        super().__init__()
        self.num_convs = num_convs
        self.output_channels = conv_dim if num_convs else input_channels
        add_conv_stack(
            self,
            input_channels,
            num_convs,
            conv=lambda channels: Conv2d(
                channels, conv_dim, kernel_size, padding=kernel_size // 2, activation=F.relu
            ),
            init=kaiming_init,
        )

    @classmethod
    def from_config(cls, cfg: CfgNode, input_channels: int) -> dict:
        head = cfg.MODEL.ROI_DENSEPOSE_HEAD
        return {
            "input_channels": input_channels,
            "num_convs": head.NUM_STACKED_CONVS,
            "conv_dim": head.CONV_HEAD_DIM,
            "kernel_size": head.CONV_HEAD_KERNEL,
        }

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, input_channels, s, s) -> (N, output_channels, s, s)."""
        return run_conv_stack(self, self.num_convs, features)
