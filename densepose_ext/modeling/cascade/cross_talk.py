"""Cross-talk: feeds the outputs of a stage's branches to a branch of the next stage."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from .stage import BranchOutput


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
            nn.ModuleDict({task: _projection(count, channels) for task, count in of.items()})
            for of in (outputs, features)
        )

    def forward(self, rois: torch.Tensor, branches: Mapping[str, BranchOutput]) -> torch.Tensor:
        """Adds outputs to the RoI features of a branch.

        Args:
            rois: (N, channels, s, s), features of N RoIs.
            branches: task -> output for the same RoIs.

        Returns:
            (N, channels, s, s).
        """
        total = rois
        for kind, projections in (("outputs", self.outputs), ("features", self.features)):
            for task, projection in projections.items():
                maps = _on_grid_of(rois, getattr(branches[task], kind))
                total = total + projection(maps.to(rois.dtype))
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
