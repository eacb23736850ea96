"""Matching with ground truth and random sampling of boxes, for all images of a batch at once.

Detectron2 goes image by image, with dozens of small operations for each, and waits for the GPU
after many of them. Matches and labels here are equal to those of its Matcher to the bit, and the
random samples are of the same sizes, from the same boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from detectron2.modeling.matcher import Matcher
from torch.nn.utils.rnn import pad_sequence

#: Pairs of boxes compared at once: their temporary values take about a gigabyte.
MAX_PAIRS = 2**25


def uploaded(value: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host on ``device``, without waiting for work that is queued there."""
    if device.type != "cuda":
        return value.to(device)
    return value.pin_memory().to(device, non_blocking=True)


def padded_rows(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    """(images, longest): rows of a concatenation whose parts have ``lengths``, -1 for padding."""
    rows = torch.arange(sum(lengths)).split(list(lengths))
    return uploaded(pad_sequence(rows, batch_first=True, padding_value=-1), device)


def match(
    matcher: Matcher, gt_boxes: torch.Tensor, is_gt: torch.Tensor, boxes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The ground truth of each box.

    Args:
        gt_boxes: (images, G, 4) XYXY.
        is_gt: (images, G) bool, False for padding.
        boxes: (images, N, 4) XYXY.

    Returns:
        (images, N) int64, index of the ground truth with the highest IoU; and (images, N) int8, the
        matcher's labels: 1 foreground, 0 background, -1 neither.
    """
    at_once = max(1, MAX_PAIRS // max(1, gt_boxes.shape[1] * boxes.shape[1]))
    parts = zip(*(values.split(at_once) for values in (gt_boxes, is_gt, boxes)))
    matches, labels = zip(*(_match(matcher, *part) for part in parts))
    return torch.cat(matches), torch.cat(labels)


def _match(matcher, gt_boxes, is_gt, boxes):
    ious = _ious(gt_boxes, boxes).masked_fill(~is_gt[..., None], -1.0)
    best, matches = ious.max(dim=1)
    labels = torch.full_like(matches, matcher.labels[0], dtype=torch.int8)
    for label, low in zip(matcher.labels[1:], matcher.thresholds[1:]):
        labels = labels.masked_fill(best >= low, label)
    if matcher.allow_low_quality_matches:
        # The best boxes of each person are foreground, however bad.
        of_gt = ious.amax(dim=2, keepdim=True)
        labels = labels.masked_fill(((ious == of_gt) & is_gt[..., None]).any(dim=1), 1)
    return matches, labels


def _ious(ones: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(images, G, N), computed as by Detectron2's pairwise_iou."""
    low = torch.maximum(ones[:, :, None, :2], others[:, None, :, :2])
    high = torch.minimum(ones[:, :, None, 2:], others[:, None, :, 2:])
    width, height = (high - low).clamp_(min=0).unbind(dim=3)
    shared = width * height
    areas = [(b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1]) for b in (ones, others)]
    ious = shared / (areas[0][:, :, None] + areas[1][:, None] - shared)
    return torch.where(shared > 0, ious, 0.0)


def sample(
    foreground: torch.Tensor,
    background: torch.Tensor,
    count: int,
    fraction: float,
    priority: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Up to ``count`` boxes an image, at most ``fraction`` of them foreground.

    Args:
        foreground, background: (images, N) bool, the boxes to choose from.
        priority: (images, N), at least 0: the highest are chosen. Default: random.

    Returns:
        (images, F) int64 indices of foreground boxes, (images, F) bool: whether each is chosen; and
        the same of the background, (images, B).
    """
    if priority is None:
        priority = torch.rand(foreground.shape, device=foreground.device)
    boxes = foreground.shape[1]
    highest, people = priority.masked_fill(~foreground, -1).topk(min(int(count * fraction), boxes))
    is_person = highest >= 0
    highest, rest = priority.masked_fill(~background, -1).topk(min(count, boxes))
    rank = torch.arange(rest.shape[1], device=rest.device)
    is_rest = (highest >= 0) & (rank < count - is_person.sum(dim=1, keepdim=True))
    return people, is_person, rest, is_rest
