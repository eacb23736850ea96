"""Proposals refined by the box head, before it predicts the final boxes from them.

The head, trained on boxes with an IoU of at least .5, corrects a part of their error, and applied
again, a part of the rest (iterative bounding box regression: Cai and Vasconcelos, "Cascade R-CNN",
CVPR 2018, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.modeling.roi_heads.fast_rcnn import FastRCNNOutputLayers
from detectron2.structures import Boxes, Instances


def refined(
    proposals: Sequence[Instances], predictions: Any, box_predictor: FastRCNNOutputLayers
) -> list[Instances]:
    """Proposals moved to the predicted box of the likeliest class of each.

    Args:
        predictions: of the predictor for the proposals.
    """
    boxes = box_predictor.predict_boxes(predictions, proposals)
    probabilities = box_predictor.predict_probs(predictions, proposals)
    return [
        Instances(image.image_size, proposal_boxes=Boxes(clipped(chosen, image.image_size)))
        for image, chosen in zip(proposals, map(_of_likeliest_class, boxes, probabilities))
    ]


def _of_likeliest_class(boxes: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """(N, 4) of boxes (N, 4 * classes) and probabilities (N, classes + 1), background last."""
    of_classes = boxes.unflatten(1, (-1, 4))
    likeliest = probabilities[:, :-1].argmax(1)
    likeliest = likeliest.clamp(max=of_classes.shape[1] - 1)  # if classes share a box
    return of_classes.gather(1, likeliest[:, None, None].expand(-1, 1, 4))[:, 0]


def clipped(boxes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Boxes (N, 4) XYXY inside an image of (height, width); those that are no numbers are empty.

    Detectron2's ``Boxes.clip`` would wait for a GPU to refuse the latter.
    """
    (height, width), boxes = size, boxes.nan_to_num()
    x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
    return torch.stack([x, y], dim=2).flatten(1)
