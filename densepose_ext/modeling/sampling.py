"""Samples the network's maps at annotated points.

The map of side S is a bilinear upsampling of the output of the transposed convolutions, so its
bilinear values at a point are weighted sums of a few cells of the smaller map:
:func:`sample_points` reads upsampled maps and :class:`DeferredOutput` alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ..structures import DensePoseOutput
from .deferred import DeferredOutput, Maps, at_least_single, map_side, raw_maps


@dataclass
class PointSamples:
    """The network's predictions at P points.

    Attributes:
        fine_segm: (P, 25) logits.
        u, v, sigma_2, kappa_u, kappa_v: (P,), in the channel of the point's true part.
    """

    fine_segm: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor
    sigma_2: torch.Tensor | None = None
    kappa_u: torch.Tensor | None = None
    kappa_v: torch.Tensor | None = None


class _Axis:
    """Bilinear sampling of an upsampled map along one axis.

    Attributes:
        taps: (P, T) cells of the small map that matter; T is 2 without upsampling, else 3.
        corners: (P, 2, T) their weights in the two neighbouring cells of the large map.
        blend: (P, 2) weights of these two.
    """

    def __init__(self, position: torch.Tensor, small_side: int, scale: int):
        side = small_side * scale
        low = position.floor()
        neighbours = torch.stack([low, (low + 1).clamp(max=side - 1)], dim=1)  # (P, 2)
        fraction = position - low
        self.blend = torch.stack([1 - fraction, fraction], dim=1)
        if scale == 1:
            self.taps = neighbours.long()
            self.corners = torch.eye(2, device=position.device).expand(len(position), 2, 2)
            return
        # The source of each neighbour in the upsampling (pixel centres at +0.5, edges repeated).
        source = ((neighbours + 0.5) / scale - 0.5).clamp(min=0)
        first = source.floor()
        second = (first + 1).clamp(max=small_side - 1)
        weight = source - first
        start = first[:, :1]
        offsets = torch.arange(3, device=position.device)
        self.taps = (start.long() + offsets).clamp(max=small_side - 1)
        self.corners = (1 - weight)[..., None] * (
            (first - start).long()[..., None] == offsets
        ) + weight[..., None] * ((second - start).long()[..., None] == offsets)


class PointReader:
    """Bilinear values of maps at P points.

    The neighbours of a position p are floor(p) and min(floor(p) + 1, S - 1), without an offset of
    half a pixel: published models were trained that way.
    """

    def __init__(
        self,
        output: Maps | DeferredOutput,
        roi: torch.Tensor,
        x: torch.Tensor,
        y: torch.Tensor,
    ):
        """
        Args:
            output: maps of N RoIs with side S (of side S / scale if deferred).
            roi: (P,) RoI of each point.
            x, y: (P,) position in the map of side S, in [0, S).
        """
        self.small_side = raw_maps(output).coarse_segm.shape[-1]
        scale = map_side(output) // self.small_side
        self.axis_x = _Axis(x, self.small_side, scale)
        self.axis_y = _Axis(y, self.small_side, scale)
        self.rows = self.axis_y.taps[:, :, None]  # (P, T, 1)
        self.columns = self.axis_x.taps[:, None, :]  # (P, 1, T)
        self.roi = roi[:, None, None]
        blend = self.axis_y.blend[:, :, None] * self.axis_x.blend[:, None, :]
        self.blend = blend.flatten(1)  # (P, 4)
        #: (P, T * T)
        self.tap_weights = torch.bmm(self.blend[:, None], self.corner_weights())[:, 0]

    def corner_weights(self) -> torch.Tensor:
        """(P, 4, T * T)."""
        weights = (
            self.axis_y.corners[:, :, None, :, None] * self.axis_x.corners[:, None, :, None, :]
        )
        return weights.flatten(3, 4).flatten(1, 2)

    def taps(self, value: torch.Tensor) -> torch.Tensor:
        """The cells that matter: (N, C, s, s) -> (P, T * T, C)."""
        return at_least_single(value[self.roi, :, self.rows, self.columns]).flatten(1, 2)

    def blended(self, value: torch.Tensor) -> torch.Tensor:
        """All channels: (N, C, s, s) -> (P, C)."""
        # As tap_weights @ taps(value), but with a backward pass that is twice as fast.
        cells = (self.roi * self.small_side + self.rows) * self.small_side + self.columns
        table = value.permute(0, 2, 3, 1).flatten(0, 2).to(self.tap_weights.dtype)
        return F.embedding_bag(
            cells.flatten(1), table, mode="sum", per_sample_weights=self.tap_weights
        )

    def channel(self, value: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
        """One channel per point: (N, C, s, s), (P,) -> (P,)."""
        picked = value[self.roi, number[:, None, None], self.rows, self.columns].flatten(1)
        return (picked * self.tap_weights).sum(dim=1)


def sample_points(
    output: DensePoseOutput | DeferredOutput,
    roi: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    part: torch.Tensor,
) -> PointSamples:
    """Bilinear values of all maps of a chart model at points.

    Args:
        output, roi, x, y: as for :class:`PointReader`.
        part: (P,) true part of each point.
    """
    reader = PointReader(output, roi, x, y)
    maps = raw_maps(output)
    confidence = None
    if isinstance(output, DeferredOutput):  # else the logits are already multiplied by it
        confidence = maps.fine_segm_confidence
    if confidence is None:
        fine_segm = reader.blended(maps.fine_segm)
    else:
        # The confidence multiplies the upsampled logits. A product of interpolations is not the
        # interpolation of products, so the four neighbours are computed before blending.
        weights = reader.corner_weights()
        factor = F.softplus(weights @ reader.taps(confidence)) + output.segm_epsilon  # (P, 4, 1)
        fine_segm = (weights @ reader.taps(maps.fine_segm)) * factor
        fine_segm = torch.bmm(reader.blend[:, None], fine_segm)[:, 0]

    names = ("u", "v", "sigma_2", "kappa_u", "kappa_v")
    values = (getattr(maps, name) for name in names)
    return PointSamples(
        fine_segm, *(None if value is None else reader.channel(value, part) for value in values)
    )
