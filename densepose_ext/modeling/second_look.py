"""A second look at the people found, by a classifier that knows animals, cars and furniture.

A detector that was trained on synthetic people alone has never seen a real animal, and takes cats
and horses for people with scores near 1. An ImageNet classifier has seen a million photographs,
and is asked about each box once more.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from detectron2.config import CfgNode, configurable
from detectron2.structures import Boxes, Instances
from torch import nn
from torchvision.ops import roi_align

from .backbones import WEIGHT_PACKAGES, package_state_dict, require_timm
from .frozen_norm import apply_frozen_norms
from .imagenet import NOBODY

logger = logging.getLogger(f"detectron2.{__name__}")

#: Mean and standard deviation of RGB in [0, 1] that the classifiers were trained with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SecondLook(nn.Module):
    """Lowers the scores of boxes on what is nobody.

    Where certain classes together are likelier than all others, the score is multiplied by twice
    the probability of the others, which is 1 at a draw. The classifier sees just the box,
    stretched to a square: the horse under a rider, or the car behind a passer-by, is mostly
    outside. Boxes that it would see enlarged more than twice keep their scores.

    The classifier is no part of the model's state: neither checkpoints nor optimizers have it.
    """

    @configurable
    def __init__(
        self,
        *,
        classifier: nn.Module,
        classes: Sequence[int] = NOBODY,
        size: int = 160,
        min_score: float = 0.05,
        pixel_mean: Sequence[float] = (103.530, 116.280, 123.675),
        pixel_std: Sequence[float] = (1.0, 1.0, 1.0),
        input_format: str = "BGR",
    ):
        """
        Args:
            classifier: RGB pictures (N, 3, S, S), normalised as timm's -> logits.
            classes: of the classifier, that are nobody.
            size: side S of the square that a box becomes, pixels. Boxes whose longer side is less
                than half of it keep their scores.
            min_score: boxes whose score falls below it are left out.
            pixel_mean, pixel_std, input_format: of the detector's pictures.
        """
        super().__init__()
        if size < 32:
            raise ValueError(f"MODEL.SECOND_LOOK.SIZE = {size}, expected 32 pixels or more")
        classifier = classifier.eval().requires_grad_(False)
        self._classifier = [classifier.to(memory_format=torch.channels_last)]
        self.size = size
        self.min_score = min_score
        self.register_buffer("_classes", torch.as_tensor(classes), persistent=False)
        # pixel = normalised * pixel_std + pixel_mean, and then as the classifier wants it.
        is_bgr = input_format == "BGR"
        mean, std = (torch.tensor(x[::-1] if is_bgr else x) * 255 for x in (_MEAN, _STD))
        scale = torch.tensor(pixel_std) / std
        shift = (torch.tensor(pixel_mean) - mean) / std
        self.register_buffer("_scale", scale[:, None, None], persistent=False)
        self.register_buffer("_shift", shift[:, None, None], persistent=False)
        self._is_bgr = is_bgr

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        return {
            "classifier": _classifier(cfg.MODEL.SECOND_LOOK.WEIGHTS),
            "size": cfg.MODEL.SECOND_LOOK.SIZE,
            "min_score": cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST,
            "pixel_mean": list(cfg.MODEL.PIXEL_MEAN),
            "pixel_std": list(cfg.MODEL.PIXEL_STD),
            "input_format": cfg.INPUT.FORMAT,
        }

    def _apply(self, fn, recurse: bool = True):
        """Called by ``.to()``, ``.cuda()``, ...: takes the classifier along."""
        self._classifier[0]._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def forward(self, image: torch.Tensor, boxes: Boxes) -> torch.Tensor:
        """How likely each box shows nobody.

        Args:
            image: (3, H, W), normalised as the detector takes it.
            boxes: of N people, in its pixels.

        Returns:
            (N,) probabilities.
        """
        # Outside the picture is 0: the mean colour.
        crops = roi_align(image[None], [boxes.tensor], self.size, aligned=True)
        crops = crops * self._scale + self._shift
        if self._is_bgr:
            crops = crops.flip(1)
        crops = crops.contiguous(memory_format=torch.channels_last)
        probabilities = self._classifier[0](crops).softmax(1)
        return probabilities[:, self._classes].sum(1)

    @torch.no_grad()
    def rescore(
        self, image: torch.Tensor, people: Instances, boxes: Boxes | None = None
    ) -> Instances:
        """People with lowered scores, best first, less those whose score became too low.

        Args:
            image: (3, H, W), normalised as the detector takes it.
            people: with ``scores`` and ``pred_boxes``.
            boxes: where they are in ``image``. Default: ``pred_boxes``.
        """
        boxes = people.pred_boxes if boxes is None else boxes
        factor = (2 - 2 * self(image, boxes)).clamp(max=1)
        longer_side = (boxes.tensor[:, 2:] - boxes.tensor[:, :2]).amax(1)
        factor = torch.where(longer_side < self.size / 2, torch.ones_like(factor), factor)
        scores, order = (people.scores * factor).sort(descending=True)
        kept = scores >= self.min_score
        people = people[order[kept]]
        people.scores = scores[kept]
        return people


def build_second_look(cfg: CfgNode) -> SecondLook | None:
    """The second look of a config; None where it is off, or its classifier is not installed.

    That is a warning, not an error, so that the shipped model runs wherever timm does.
    """
    if not cfg.MODEL.SECOND_LOOK.ENABLED:
        return None
    try:
        return SecondLook(cfg)
    except ModuleNotFoundError as error:
        logger.warning(
            "No second look at the people found: animals and cars will be taken for people more"
            " often. %s",
            error,
        )
        return None


def _classifier(weights: str) -> nn.Module:
    """An ImageNet classifier, out of an installed package."""
    key = "MODEL.SECOND_LOOK.WEIGHTS"
    package = weights.removeprefix("package:")
    if package == weights:
        raise ValueError(f"{key} = {weights!r}, expected package:NAME")
    state = package_state_dict(package, key)
    timm = require_timm()
    classifier = timm.create_model(WEIGHT_PACKAGES[package])
    classifier.load_state_dict(state)
    classifier = timm.layers.freeze_batch_norm_2d(classifier)
    apply_frozen_norms(classifier, torch.zeros(1, 3, 64, 64))
    return classifier
