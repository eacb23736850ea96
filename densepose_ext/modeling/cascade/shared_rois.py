"""The RoIs that the branches of a cascade share in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from detectron2.structures import Instances

#: Selects the RoIs of each image that train a task.
Select = Callable[[list[Instances]], list[Instances]]


def share_rois(
    proposals: list[Instances], selections: Mapping[str, Select]
) -> tuple[list[Instances], dict[str, tuple[torch.Tensor, list[Instances]]]]:
    """The RoIs that train any task, and those that train each.

    Not all people are annotated for all tasks: a RoI trains the tasks that its person has.

    Args:
        proposals: foreground RoIs, image by image. They get a field ``roi``.
        selections: by task.

    Returns:
        the RoIs, image by image; task -> indices of its RoIs, and these RoIs.
    """
    first = 0
    for image in proposals:
        count, device = len(image), image.proposal_boxes.device
        image.roi = torch.arange(first, first + count, device=device)
        first += count
    trained = {task: select(proposals) for task, select in selections.items()}
    numbers = {task: torch.cat([image.roi for image in of]) for task, of in trained.items()}
    taken = torch.cat(list(numbers.values())).unique()
    shared = [image[torch.isin(image.roi, taken)] for image in proposals]
    return shared, {
        task: (torch.searchsorted(taken, number), trained[task]) for task, number in numbers.items()
    }


def select_proposals_with_masks(proposals: list[Instances]) -> list[Instances]:
    """The RoIs whose person has an instance mask."""
    return [
        image[image.gt_masks.nonempty()] if len(image) and image.has("gt_masks") else image[:0]
        for image in proposals
    ]
