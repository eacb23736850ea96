"""A fast RoIAlign for the CPU: a weighted sum of rows of the feature maps."""

from __future__ import annotations

import torch
from detectron2.layers import ROIAlign
from detectron2.modeling.poolers import (
    ROIPooler,
    assign_boxes_to_levels,
    convert_boxes_to_pooler_format,
)
from detectron2.structures import Boxes
from torch import nn
from torch.nn import functional as F


class RowPooler(nn.Module):
    """A ROIPooler that is several times as fast on the CPU, with the same results.

    torchvision's kernel works channel by channel, and its backward pass uses one thread. A RoIAlign
    value (He et al., "Mask R-CNN", ICCV 2017, section 3) is a mean of bilinear samples, hence a
    weighted sum of a few cells, with the same weights in every channel. With channels last, a cell
    is a row, and an embedding bag computes such sums. The cells of all levels are rows of one
    table.

    In other cases (on a GPU, when tracing, with an adaptive number of samples or another type of
    pooling) the ROIPooler itself is used.
    """

    def __init__(self, pooler: ROIPooler):
        super().__init__()
        self.pooler = pooler
        self._takes_rows = all(
            isinstance(level, ROIAlign) and level.sampling_ratio > 0
            for level in pooler.level_poolers
        )

    def forward(self, levels: list[torch.Tensor], boxes: list[Boxes]) -> torch.Tensor:
        """See :meth:`detectron2.modeling.poolers.ROIPooler.forward`."""
        on_cpu = levels[0].device.type == "cpu"
        if not (self._takes_rows and on_cpu and boxes) or torch.jit.is_tracing():
            return self.pooler(levels, boxes)
        return self._sum_rows(levels, boxes)

    def _sum_rows(self, levels: list[torch.Tensor], boxes: list[Boxes]) -> torch.Tensor:
        channels = levels[0].shape[1]
        table = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels) for level in levels])
        table = table.float()  # as torchvision's kernel under autocast
        images, corners = convert_boxes_to_pooler_format(boxes).float().split([1, 4], dim=1)
        if len(levels) > 1:
            of_level = assign_boxes_to_levels(
                boxes,
                self.pooler.min_level,
                self.pooler.max_level,
                self.pooler.canonical_box_size,
                self.pooler.canonical_level,
            )
        else:
            of_level = torch.zeros(len(corners), dtype=torch.long)
        heights = torch.tensor([level.shape[2] for level in levels])
        widths = torch.tensor([level.shape[3] for level in levels])
        rows_of_level = len(boxes) * heights * widths
        first = (rows_of_level.cumsum(0) - rows_of_level)[of_level]
        height, width = heights[of_level], widths[of_level]
        first = first + images[:, 0].long() * height * width

        align = self.pooler.level_poolers[0]
        scales = torch.tensor([level.spatial_scale for level in self.pooler.level_poolers])
        corners = corners * scales[of_level][:, None]
        low, high = corners.split(2, dim=1)
        if align.aligned:
            low, high = low - 0.5, high - 0.5
        else:
            high = torch.maximum(high, low + 1)
        rows, columns = self.pooler.output_size
        y, y_weights = _cells(low[:, 1], high[:, 1], rows, align.sampling_ratio, height)
        x, x_weights = _cells(low[:, 0], high[:, 0], columns, align.sampling_ratio, width)
        y = first[:, None, None] + y * width[:, None, None]
        # (RoIs, rows, columns, cells of y, cells of x), flattened to a bag of cells per value.
        bags = y[:, :, None, :, None] + x[:, None, :, None, :]
        weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
        values = F.embedding_bag(
            bags.flatten(3).flatten(0, 2),
            table,
            mode="sum",
            per_sample_weights=weights.flatten(3).flatten(0, 2),
        )
        pooled = values.view(len(corners), rows, columns, channels).permute(0, 3, 1, 2)
        return pooled.to(levels[0].dtype)


def _cells(
    low: torch.Tensor, high: torch.Tensor, bins: int, samples: int, length: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The cells that each bin of a RoI averages along one axis.

    Args:
        low, high: (RoIs,) begin and end of each RoI; the first cell's centre is at 0.
        bins: number of bins of a RoI.
        samples: number of samples in a bin.
        length: (RoIs,) length, in cells, of the map that the RoI is on.

    Returns:
        cells and their weights, (RoIs, bins, 2 * samples).
    """
    offsets = (torch.arange(bins * samples) + 0.5) / (bins * samples)
    positions = low[:, None] + offsets * (high - low)[:, None]
    last = length[:, None] - 1
    # Samples over a cell outside the map are zero, others outside take the value of the border.
    inside = (positions >= -1) & (positions <= length[:, None])
    positions = torch.minimum(positions.clamp(min=0), last)
    below = positions.long()
    above = torch.minimum(below + 1, last)
    fraction = positions - below
    cells = torch.stack([below, above], dim=2)
    weights = torch.stack([1 - fraction, fraction], dim=2) * (inside / samples)[..., None]
    return (
        cells.view(len(low), bins, 2 * samples),
        weights.view(len(low), bins, 2 * samples),
    )
