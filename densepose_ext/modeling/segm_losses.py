"""Losses of the coarse segmentation, for chart and CSE models."""

from __future__ import annotations

import torch
from detectron2.structures import Instances
from torch.nn import functional as F

from ..structures import DensePoseAnnotationList
from .deferred import DeferredOutput, Maps, at_least_single
from .targets import coarse_targets


def part_segm_loss(
    annotations: DensePoseAnnotationList,
    gt_boxes: torch.Tensor,
    boxes: torch.Tensor,
    output: Maps | DeferredOutput,
    side: int,
) -> torch.Tensor:
    """Loss against ``dp_masks``: mean over the cells of RoIs whose person has them.

    Args:
        annotations, gt_boxes, boxes, side: as for :func:`coarse_targets`.
    """
    roi, parts = coarse_targets(annotations, gt_boxes, boxes, side)
    logits = _coarse_logits(output)
    if logits.shape[1] == 2:
        parts = (parts > 0).long()
    return _cross_entropy(logits, roi, parts)


def mask_segm_loss(
    proposals: list[Instances], output: Maps | DeferredOutput, side: int
) -> torch.Tensor:
    """Loss against ``gt_masks``: mean over the cells of RoIs whose person has them."""
    logits = _coarse_logits(output)
    roi, masks = roi_masks(proposals, side)
    return _cross_entropy(logits, roi.to(logits.device), masks.to(logits.device).long())


def roi_masks(proposals: list[Instances], side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(M,) indices of the RoIs with ``gt_masks``, and (M, side, side) these masks in the RoIs."""
    rois = [torch.zeros(0, dtype=torch.int64)]
    masks, first = [], 0
    for instances in proposals:
        if len(instances) and instances.has("gt_masks"):
            masks.append(instances.gt_masks.crop_and_resize(instances.proposal_boxes.tensor, side))
            rois.append(torch.arange(first, first + len(instances)))
        first += len(instances)
    if not masks:
        return rois[0], torch.zeros((0, side, side), dtype=torch.bool)
    return torch.cat(rois), torch.cat(masks)


def _coarse_logits(output: Maps | DeferredOutput) -> torch.Tensor:
    """(N, K, S, S)."""
    if isinstance(output, DeferredOutput):
        return output.enlarged("coarse_segm")
    return at_least_single(output.coarse_segm)


def _cross_entropy(logits: torch.Tensor, roi: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    """Mean over the cells of the RoIs that have a target: (N, K, S, S), (M,), (M, S, S)."""
    if len(roi) == 0:
        return logits.sum() * 0.0
    if len(roi) < len(logits):
        logits = logits[roi]
    return F.cross_entropy(logits, parts)
