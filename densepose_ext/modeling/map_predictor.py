"""The base class of predictors, from a head's features to maps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from detectron2.layers import ConvTranspose2d
from torch import nn
from torch.nn import functional as F

from .deferred import CONFIDENCE_OF, DeferredOutput, Maps
from .heads import kaiming_init


class MapPredictor(nn.Module):
    """A transposed convolution of stride 2 for each map.

    Each layer has its own parameters, named as in published checkpoints, but all run as one
    convolution with concatenated weights.
    """

    #: The type of the output, and the layer of each of its maps (its name in checkpoints without
    #: "_lowres").
    output_type: type[Maps]
    layer_of_map: Mapping[str, str]

    def __init__(self, input_channels: int, kernel_size: int, upscale: int):
        """
        Args:
            input_channels: of the head's features.
            kernel_size: of the transposed convolutions; even.
            upscale: factor of the bilinear upsampling after them.
        """
        super().__init__()
        if kernel_size % 2:
            raise ValueError(
                f"MODEL.ROI_DENSEPOSE_HEAD.DECONV_KERNEL = {kernel_size}, expected an even number"
            )
        self.input_channels = input_channels
        self.kernel_size = kernel_size
        self.upscale = upscale
        self.segm_epsilon = 0.0
        self._channels: dict[str, int] = {}

    def _add_map(self, name: str, channels: int) -> None:
        layer = ConvTranspose2d(
            self.input_channels,
            channels,
            self.kernel_size,
            stride=2,
            padding=self.kernel_size // 2 - 1,
        )
        kaiming_init(layer)
        self.add_module(f"{self.layer_of_map[name]}_lowres", layer)
        self._channels[name] = channels

    @property
    def output_channels(self) -> int:
        """Channels of :meth:`lowres_maps`."""
        return sum(self._channels.values())

    def forward(self, features: torch.Tensor) -> Maps | DeferredOutput:
        """Maps of N RoIs.

        Args:
            features: (N, input_channels, s, s).

        Returns:
            in evaluation mode, an ``output_type`` of side S = s * 2 * upscale; in training, a
            DeferredOutput with maps of side s * 2.
        """
        return self.output(self.lowres_maps(features))

    def lowres_maps(self, features: torch.Tensor) -> torch.Tensor:
        """All maps of N RoIs before upsampling, (N, output_channels, s * 2, s * 2)."""
        layers = [
            self.get_submodule(f"{self.layer_of_map[name]}_lowres") for name in self._channels
        ]
        return F.conv_transpose2d(
            features,
            torch.cat([layer.weight for layer in layers], dim=1),
            torch.cat([layer.bias for layer in layers]),
            stride=2,
            padding=self.kernel_size // 2 - 1,
        )

    def output(self, maps: torch.Tensor) -> Maps | DeferredOutput:
        """The return value of :meth:`forward`, from :meth:`lowres_maps`."""
        if self.training:
            return DeferredOutput(self._split(maps), self.upscale, self.segm_epsilon)
        # Equals DeferredOutput.enlarged, with one call for all maps.
        maps = F.interpolate(
            maps.float(), scale_factor=self.upscale, mode="bilinear", align_corners=False
        )
        output = self._split(maps)
        for name, confidence_name in CONFIDENCE_OF.items():
            confidence = getattr(output, confidence_name, None)
            if confidence is not None:
                confidence = F.softplus(confidence) + self.segm_epsilon
                setattr(output, confidence_name, confidence)
                setattr(output, name, getattr(output, name) * confidence)
        return output

    def _split(self, maps: torch.Tensor) -> Maps:
        parts = maps.split(list(self._channels.values()), dim=1)
        return self.output_type(**dict(zip(self._channels, parts)))
