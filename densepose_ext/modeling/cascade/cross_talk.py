"""Cross-talk: feeds the outputs of a stage's branches to a branch of the next stage."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from .stage import Answer


class CrossTalk(nn.Module):
    """Adds the outputs of branches, for the same RoIs, to the RoI features of a branch.

    Each output (and the features before it) is resized to the grid of the RoI features and
    projected by a 1 x 1 convolution, which is initialized to zero.
    """

    def __init__(self, channels: int, outputs: Mapping[str, int], features: Mapping[str, int]):
        """
        Args:
            channels: of the RoI features.
            outputs, features: channels of the outputs and features, by task.
        """
        super().__init__()
        self.outputs, self.features = (
            nn.ModuleDict({task: _projection(heard, channels) for task, heard in of.items()})
            for of in (outputs, features)
        )

    def forward(self, rois: torch.Tensor, answers: Mapping[str, Answer]) -> torch.Tensor:
        """(N, channels, s, s), answers of N RoIs by task -> (N, channels, s, s)."""
        total = rois
        for kind, projections in (("outputs", self.outputs), ("features", self.features)):
            for task, projection in projections.items():
                said = _on_grid_of(rois, getattr(answers[task], kind))
                total = total + projection(said.to(rois.dtype))
        return total


def _projection(input_channels: int, channels: int) -> nn.Module:
    layer = nn.Conv2d(input_channels, channels, 1, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def _on_grid_of(rois: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    size, own = ([int(side) for side in x.shape[-2:]] for x in (rois, maps))
    if own == size:
        return maps
    if all(side % wanted == 0 for side, wanted in zip(own, size)):
        return F.avg_pool2d(maps, [side // wanted for side, wanted in zip(own, size)])
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
