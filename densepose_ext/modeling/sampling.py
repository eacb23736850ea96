"""Values of the network's maps at annotated points.

The losses read a map of side S at some hundred points and nowhere else. The map itself is a x2
bilinear enlargement of what the transposed convolutions give, and a bilinear value of an enlarged
map is a weighted sum of few cells of the small one. So in training the large maps need not exist:
:class:`DeferredOutput` holds the small ones, and :func:`sample_points` reads either form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ..structures import DensePoseOutput

#: The segmentation that each confidence multiplies.
_CONFIDENCE_OF = {
    "fine_segm": "fine_segm_confidence",
    "coarse_segm": "coarse_segm_confidence",
}


@dataclass
class DeferredOutput:
    """A :class:`DensePoseOutput` before its bilinear enlargement.

    Attributes:
        maps: the maps at side S / scale; confidences of the segmentations before their softplus,
            and not multiplied yet.
        scale: factor of the enlargement.
        segm_epsilon: added to the softplus of the confidences of the segmentations.
    """

    maps: DensePoseOutput
    scale: int
    segm_epsilon: float = 0.0

    def __len__(self) -> int:
        return len(self.maps)

    def enlarged(self, name: str) -> torch.Tensor:
        """One map at its full side, multiplied by its confidence if it has one."""
        value = _enlarge(getattr(self.maps, name), self.scale)
        confidence = getattr(self.maps, _CONFIDENCE_OF.get(name, ""), None)
        if confidence is None:
            return value
        return value * (F.softplus(_enlarge(confidence, self.scale)) + self.segm_epsilon)


def _enlarge(value: torch.Tensor, scale: int) -> torch.Tensor:
    if scale == 1:
        return value
    return F.interpolate(value, scale_factor=scale, mode="bilinear", align_corners=False)


@dataclass
class PointSamples:
    """What the network says at P points.

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
    """Bilinear reading of an enlarged map along one axis.

    Attributes:
        taps: (P, T) cells of the small map that can matter: 2 without enlargement, else 3.
        corners: (P, 2, T) weights that give the two neighbouring cells of the large map.
        blend: (P, 2) weights of those two.
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
        # Where the enlargement (pixel centres at +0.5, edges repeated) takes each neighbour from.
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


def sample_points(
    output: DensePoseOutput | DeferredOutput,
    roi: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    part: torch.Tensor,
) -> PointSamples:
    """Bilinear values of all maps at points.

    The neighbours of a position p are floor(p) and min(floor(p) + 1, S - 1): no half pixel is
    taken off, as published models were trained.

    Args:
        output: maps of N RoIs with side S (of side S / scale if deferred).
        roi: (P,) RoI of each point.
        x, y: (P,) position in the map of side S, in [0, S).
        part: (P,) true part of each point.
    """
    deferred = isinstance(output, DeferredOutput)
    maps = output.maps if deferred else output
    scale = output.scale if deferred else 1
    small_side = maps.fine_segm.shape[-1]
    axis_x, axis_y = _Axis(x, small_side, scale), _Axis(y, small_side, scale)
    rows, columns = axis_y.taps[:, :, None], axis_x.taps[:, None, :]  # (P, T, 1), (P, 1, T)
    roi_index = roi[:, None, None]

    def taps(value: torch.Tensor) -> torch.Tensor:  # (N, C, s, s) -> (P, T * T, C)
        return value[roi_index, :, rows, columns].flatten(1, 2)

    def blended(value: torch.Tensor) -> torch.Tensor:  # (N, C, s, s) -> (P, C)
        # The same as tap_weights @ taps(value), whose backward pass takes twice as long.
        cells = (roi_index * small_side + rows) * small_side + columns
        table = value.permute(0, 2, 3, 1).flatten(0, 2).to(tap_weights.dtype)
        return F.embedding_bag(cells.flatten(1), table, mode="sum", per_sample_weights=tap_weights)

    def corner_weights() -> torch.Tensor:  # (P, 4, T * T)
        weights = axis_y.corners[:, :, None, :, None] * axis_x.corners[:, None, :, None, :]
        return weights.flatten(3, 4).flatten(1, 2)

    blend = (axis_y.blend[:, :, None] * axis_x.blend[:, None, :]).flatten(1)  # (P, 4)
    tap_weights = torch.bmm(blend[:, None], corner_weights())[:, 0]  # (P, T * T)

    confidence = maps.fine_segm_confidence if deferred else None
    if confidence is None:
        fine_segm = blended(maps.fine_segm)
    else:
        # The confidence multiplies the enlarged logits: a product of two interpolations is no
        # interpolation of products, so the four neighbours are formed before they are blended.
        weights = corner_weights()
        factor = F.softplus(weights @ taps(confidence)) + output.segm_epsilon  # (P, 4, 1)
        fine_segm = torch.bmm(blend[:, None], (weights @ taps(maps.fine_segm)) * factor)[:, 0]

    def at_true_part(name: str) -> torch.Tensor | None:
        value = getattr(maps, name)
        if value is None:
            return None
        picked = value[roi_index, part[:, None, None], rows, columns].flatten(1)
        return (picked * tap_weights).sum(dim=1)

    return PointSamples(
        fine_segm,
        *(at_true_part(name) for name in ("u", "v", "sigma_2", "kappa_u", "kappa_v")),
    )
