"""The DeepLab head: context at several scales before the stack of convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import fvcore.nn.weight_init as weight_init
import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import Conv2d, get_norm
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .heads import DensePoseV1ConvXHead, add_conv_stack, run_conv_stack
from .registry import ROI_DENSEPOSE_HEAD_REGISTRY

#: Dilations of the three 3 x 3 branches of the official models, whose maps have 28 x 28 cells.
ASPP_DILATIONS = (6, 12, 56)


def _norm_relu(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(32, channels), nn.ReLU()]


class _DilatedConv(nn.Conv2d):
    """A 3 x 3 convolution that skips taps that can only meet padding.

    If the dilation is the map's side or more, all taps except the middle one are always outside.
    The ASPP's dilation of 56 on maps of 28 is such a case: a 1 x 1 convolution with the middle tap
    gives the same result for a ninth of the work.
    """

    def __init__(self, channels: int, dilation: int):
        super().__init__(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.dilation[0] >= max(x.shape[-2:]):
            return F.conv2d(x, self.weight[:, :, 1:2, 1:2])
        if self.training and x.device.type == "cpu":
            weight = self.weight
            if torch.is_autocast_enabled("cpu"):  # autocast has no effect on a Function's gradients
                x, weight = (t.to(torch.get_autocast_dtype("cpu")) for t in (x, weight))
            return _DilatedConvFunction.apply(x, weight, self.dilation[0])
        return super().forward(x)


class _DilatedConvFunction(torch.autograd.Function):
    """The same convolution, whose gradients skip these taps on the CPU, too.

    PyTorch's backward pass takes up to five times as long as the forward pass there.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, dilation: int) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return F.conv2d(x, weight, padding=dilation, dilation=dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: torch.Tensor):
        (x, weight), dilation = ctx.saved_tensors, ctx.dilation
        of_x = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1)
            of_x = F.conv2d(grad, turned, padding=dilation, dilation=dilation)
        # For each tap, the sum of products over the cells whose neighbour there is on the map.
        of_weight = torch.zeros_like(weight)
        rows, columns = (_pairs_of_cells(side, dilation) for side in x.shape[2:])
        cells, neighbours = grad.permute(0, 2, 3, 1), x.permute(0, 2, 3, 1)
        for tap_y, (y, neighbour_y) in enumerate(rows):
            for tap_x, (column, neighbour_x) in enumerate(columns):
                there = neighbours[:, neighbour_y, neighbour_x].flatten(0, 2)
                here = cells[:, y, column].flatten(0, 2)
                of_weight[:, :, tap_y, tap_x] = here.t() @ there
        return of_x, of_weight, None


def _pairs_of_cells(side: int, dilation: int) -> list[tuple[slice, slice]]:
    """For each of three taps along an axis, the cells that have a neighbour there, and these."""
    count = max(side - dilation, 0)
    first, last = slice(0, count), slice(side - count, side)
    return [(last, first), (slice(None), slice(None)), (first, last)]


class _ImagePooling(nn.Sequential):
    """Global average pooling, a 1 x 1 convolution and a normalization: a map of one cell.

    The normalization sees one value per channel, and few per group. If these are nearly equal, it
    amplifies rounding errors a hundredfold, so the mean is computed in two steps of few terms each,
    and the branch stays in single precision under autocast.
    """

    def __init__(self, channels: int):
        super().__init__(
            nn.Identity(),  # in place of the pooling layer: checkpoints count from 1
            nn.Conv2d(channels, channels, 1, bias=False),
            *_norm_relu(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            mean = x.float().mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
            pooled = super().forward(mean)
        return pooled.to(x.dtype)


class _ASPP(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al., arXiv:1706.05587, section 3.3)."""

    def __init__(self, channels: int, dilations: Sequence[int]):
        super().__init__()
        self.convs = nn.ModuleList()
        self.convs.append(
            nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), *_norm_relu(channels))
        )
        for dilation in dilations:
            self.convs.append(
                nn.Sequential(_DilatedConv(channels, dilation), *_norm_relu(channels))
            )
        self.convs.append(_ImagePooling(channels))
        width = len(self.convs) * channels
        self.project = nn.Sequential(nn.Conv2d(width, channels, 1, bias=False), nn.ReLU())
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                weight_init.c2_msra_fill(module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))  # once, not in each branch
        *local, pooling = self.convs
        maps = torch.cat([conv(x) for conv in local], dim=1)
        projection, relu = self.project
        # The pooled branch is the same in every cell, so it is projected once instead of being
        # expanded to the map's size, which would also lose the memory format.
        pooled = projection.out_channels
        of_maps, of_pooled = projection.weight[:, :-pooled], projection.weight[:, -pooled:]
        return relu(F.conv2d(maps, of_maps) + F.conv2d(pooling(x), of_pooled))


class _NonLocalBlock(nn.Module):
    """Embedded Gaussian non-local block (Wang et al., CVPR 2018, sections 3.2 and 3.3).

    Keys and values are max-pooled by 2. The output's normalization is initialized to zero, so that
    the block starts as the identity.
    """

    def __init__(self, channels: int):
        super().__init__()
        inner = channels // 2
        self.g = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
        self.phi = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
        self.theta = nn.Conv2d(channels, inner, 1)
        self.W = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.GroupNorm(32, channels))
        nn.init.zeros_(self.W[1].weight)
        nn.init.zeros_(self.W[1].bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries = self.theta(x).flatten(2).transpose(1, 2)  # (N, s * s, inner)
        keys = self.phi(x).flatten(2)  # (N, inner, s * s / 4)
        values = self.g(x).flatten(2).transpose(1, 2)  # (N, s * s / 4, inner)
        attended = torch.softmax(queries @ keys, dim=-1) @ values
        attended = attended.transpose(1, 2).unflatten(2, x.shape[-2:])
        return x + self.W(attended)


@ROI_DENSEPOSE_HEAD_REGISTRY.register()
class DensePoseDeepLabHead(nn.Module):
    """ASPP at the width of the input, optionally a non-local block, then 3 x 3 convolutions.

    The convolutions have a normalization (GroupNorm by default) instead of a bias.
    """

    @configurable
    def __init__(
        self,
        input_channels: int,
        *,
        num_convs: int,
        conv_dim: int,
        kernel_size: int = 3,
        norm: str = "GN",
        nonlocal_on: bool = False,
        aspp_dilations: Sequence[int] = ASPP_DILATIONS,
    ):
        """
        Args:
            input_channels: of the features, and of each branch of the ASPP.
            num_convs, conv_dim, kernel_size: of the convolutions after it.
            norm: of these convolutions, a name of Detectron2's; "": none, but a bias.
            nonlocal_on: whether there is a non-local block after the ASPP.
            aspp_dilations: of its 3 x 3 branches, in cells.
        """
        super().__init__()
        self.num_convs = num_convs
        self.output_channels = conv_dim if num_convs else input_channels
        self.ASPP = _ASPP(input_channels, aspp_dilations)
        if nonlocal_on:
            self.NLBlock = _NonLocalBlock(input_channels)
        self.nonlocal_on = nonlocal_on
        add_conv_stack(
            self,
            input_channels,
            num_convs,
            conv=lambda channels: Conv2d(
                channels,
                conv_dim,
                kernel_size,
                padding=kernel_size // 2,
                bias=not norm,
                norm=get_norm(norm, conv_dim),
                activation=F.relu,
            ),
            init=weight_init.c2_msra_fill,
        )

    @classmethod
    def from_config(cls, cfg: CfgNode, input_channels: int) -> dict:
        head = cfg.MODEL.ROI_DENSEPOSE_HEAD
        return {
            **DensePoseV1ConvXHead.from_config(cfg, input_channels),
            "norm": head.DEEPLAB.NORM,
            "nonlocal_on": bool(head.DEEPLAB.NONLOCAL_ON),
            "aspp_dilations": head.ASPP_DILATIONS,
        }

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, input_channels, s, s) -> (N, output_channels, s, s)."""
        features = self.ASPP(features)
        if self.nonlocal_on:
            features = self.NLBlock(features)
        return run_conv_stack(self, self.num_convs, features)
