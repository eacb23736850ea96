"""Maps before their upsampling, and what losses need of either kind of output.

A predictor ends in a bilinear upsampling of its maps. The losses read most of them only at some
hundred points, so in training the large maps are not computed: a :class:`DeferredOutput` holds the
small ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch.nn import functional as F

from ..structures import DensePoseEmbeddingOutput, DensePoseOutput

Maps = DensePoseOutput | DensePoseEmbeddingOutput

LossCall = TypeVar("LossCall", bound=Callable)

#: The segmentation that each confidence multiplies.
CONFIDENCE_OF = {
    "fine_segm": "fine_segm_confidence",
    "coarse_segm": "coarse_segm_confidence",
}


@dataclass
class DeferredOutput:
    """The maps of a predictor before bilinear upsampling.

    Attributes:
        maps: the maps with side S / scale. The segmentations' confidences are before their
            softplus, and not yet multiplied with the logits.
        scale: factor of the upsampling.
        segm_epsilon: added to the softplus of the segmentations' confidences.
    """

    maps: Maps
    scale: int
    segm_epsilon: float = 0.0

    def __len__(self) -> int:
        return len(self.maps)

    def enlarged(self, name: str) -> torch.Tensor:
        """One map with side S, multiplied by its confidence if it has one."""
        value = _enlarge(getattr(self.maps, name), self.scale)
        confidence = getattr(self.maps, CONFIDENCE_OF.get(name, ""), None)
        if confidence is None:
            return value
        return value * (F.softplus(_enlarge(confidence, self.scale)) + self.segm_epsilon)


def _enlarge(value: torch.Tensor, scale: int) -> torch.Tensor:
    value = at_least_single(value)
    if scale == 1:
        return value
    return F.interpolate(value, scale_factor=scale, mode="bilinear", align_corners=False)


def at_least_single(value: torch.Tensor) -> torch.Tensor:
    """The tensor itself, or, if it is in half precision, a copy in single precision."""
    return value.to(torch.promote_types(value.dtype, torch.float32))


def raw_maps(output: Maps | DeferredOutput) -> Maps:
    """The maps as the predictor computed them, upsampled or not."""
    return output.maps if isinstance(output, DeferredOutput) else output


def map_side(output: Maps | DeferredOutput) -> int:
    """S, the side of the upsampled maps."""
    scale = output.scale if isinstance(output, DeferredOutput) else 1
    return raw_maps(output).coarse_segm.shape[-1] * scale


def zero_of(output: Maps | DeferredOutput) -> torch.Tensor:
    """A loss of 0 that depends on every map: all parameters get gradients, which are 0."""
    # In single precision: a sum beyond the range of float16 would make it 0 * inf.
    return sum(at_least_single(value).sum() for _, value in raw_maps(output).items()) * 0.0


def in_single_precision(loss: LossCall) -> LossCall:
    """Decorates the ``__call__(self, proposals, output, ...)`` of a loss: turns autocast off.

    Matrix products in bfloat16 would shift U and V by up to .005, and round squared distances
    between embeddings more coarsely than the loss can bear: it divides them by .01.
    """

    @functools.wraps(loss)
    def call(self, proposals, output, *args, **kwargs):
        with torch.autocast(raw_maps(output).coarse_segm.device.type, enabled=False):
            return loss(self, proposals, output, *args, **kwargs)

    return call  # type: ignore[return-value]
