"""A second look: an ImageNet classifier lowers the scores of boxes on animals, cars and furniture.

A detector trained only on synthetic people has never seen a real animal, and takes cats and horses
for people with scores near 1. An ImageNet classifier has seen a million photographs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from detectron2.config import CfgNode, configurable
from detectron2.structures import Boxes, Instances
from torch import nn
from torchvision.ops import roi_align

from .backbones.folded_timm_norms import fold_timm_norms
from .backbones.timm_weights import WEIGHT_PACKAGES, package_state_dict, require_timm
from .imagenet import NOBODY
from .precision import PRECISIONS, computed_in

logger = logging.getLogger(f"detectron2.{__name__}")

#: Side of what is seen of small boxes, relative to the classifier's input.
SURROUNDINGS = 0.875
#: Boxes that are classified at once, as many as a picture usually has at most.
_CROPS_AT_ONCE = 128
#: Mean and standard deviation of RGB in [0, 1] that the classifiers were trained with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SecondLook(nn.Module):
    """Lowers the scores of boxes that show no person.

    If the total probability of certain classes exceeds one half, the score is multiplied by twice
    the probability of all others (at one half: by 1). The classifier sees only the box, resized to
    a square: the horse under a rider, or the car behind a passer-by, is mostly outside. Of boxes
    that would be enlarged more than twice, it sees the surroundings: many are parts of animals.

    The classifier is not part of the model's state: checkpoints and optimizers do not contain it.
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
        precision: str = "fp32",
    ):
        """
        Args:
            classifier: RGB pictures (N, 3, S, S), normalized as for timm's models -> logits.
            classes: indices of the classifier's classes that are not people.
            size: side S of the classifier's input, pixels. Of boxes whose longer side is less than
                half of it, it sees a square of SURROUNDINGS * S.
            min_score: boxes whose score drops below it are removed.
            pixel_mean, pixel_std, input_format: of the detector's input.
            precision: of the classifier, one of PRECISIONS.
        """
        super().__init__()
        if size < 32:
            raise ValueError(f"MODEL.SECOND_LOOK.SIZE = {size}, expected 32 pixels or more")
        classifier = classifier.eval().requires_grad_(False)
        self._classifier = [classifier.to(memory_format=torch.channels_last)]
        self.size = size
        self.min_score = min_score
        self.precision = precision
        self.register_buffer("_classes", torch.as_tensor(classes), persistent=False)
        # pixel = normalized * pixel_std + pixel_mean, then normalized for the classifier.
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
            "precision": cfg.MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION,
        }

    @property
    def classifier(self) -> nn.Module:
        """The classifier, which is no submodule."""
        return self._classifier[0]

    def _apply(self, fn, recurse: bool = True):
        """Called by ``.to()``, ``.cuda()``, etc.: moves the classifier too."""
        self.classifier._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def forward(self, images: torch.Tensor, boxes: Sequence[Boxes]) -> torch.Tensor:
        """The probability that each box shows no person.

        Args:
            images: (B, 3, H, W), normalized for the detector.
            boxes: of each image, in its pixels; N in all.

        Returns:
            (N,) probabilities.
        """
        # Outside the picture, values are 0: the mean colour.
        crops = roi_align(images, [of_image.tensor for of_image in boxes], self.size, aligned=True)
        crops = crops * self._scale + self._shift
        if self._is_bgr:
            crops = crops.flip(1)
        crops = crops.contiguous(memory_format=torch.channels_last)
        with computed_in(PRECISIONS[self.precision], crops.device):
            if torch.jit.is_tracing():
                logits = self.classifier(crops)
            else:
                logits = torch.cat([self.classifier(some) for some in crops.split(_CROPS_AT_ONCE)])
        probabilities = logits.float().softmax(1)
        return probabilities[:, self._classes].sum(1)

    def _seen(self, boxes: Boxes) -> Boxes:
        """What the classifier sees of boxes: themselves, or a square around small ones."""
        low, high = boxes.tensor[:, :2], boxes.tensor[:, 2:]
        centre, half = (low + high) / 2, self.size * SURROUNDINGS / 2
        is_small = (high - low).amax(1, keepdim=True) < self.size / 2
        around = torch.cat([centre - half, centre + half], 1)
        return Boxes(torch.where(is_small, around, boxes.tensor))

    @torch.no_grad()
    def rescored(
        self,
        images: torch.Tensor,
        people: Sequence[Instances],
        boxes: Sequence[Boxes] | None = None,
    ) -> list[Instances]:
        """People with lowered scores, best first, without those whose score is now too low.

        Args:
            images: (B, 3, H, W), normalized for the detector.
            people: of each image, with ``scores`` and ``pred_boxes``.
            boxes: their boxes in ``images``. Default: ``pred_boxes``.
        """
        if boxes is None:
            boxes = [of_image.pred_boxes for of_image in people]
        factors = (2 - 2 * self(images, [*map(self._seen, boxes)])).clamp(max=1)
        parts = [factors]
        if len(people) > 1:
            parts = factors.split([len(of_image) for of_image in people])
        ranked = [
            (of_image.scores * factor).sort(descending=True)
            for of_image, factor in zip(people, parts)
        ]
        kept = [scores >= self.min_score for scores, _ in ranked]
        if not torch.jit.is_tracing():  # a trace would keep the numbers
            # The only place that waits for a GPU, once for all pictures.
            numbers = torch.stack([of_image.sum() for of_image in kept]).tolist()
            kept = [slice(number) for number in numbers]
        rescored = []
        for of_image, (scores, order), chosen in zip(people, ranked, kept):
            of_image = of_image[order[chosen]]
            of_image.scores = scores[chosen]
            rescored.append(of_image)
        return rescored


def build_second_look(cfg: CfgNode) -> SecondLook | None:
    """The second look of a config; None if it is off, or its classifier is not installed.

    The latter is only a warning, so that the shipped model runs wherever timm is installed.
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
    """An ImageNet classifier from an installed package."""
    key = "MODEL.SECOND_LOOK.WEIGHTS"
    package = weights.removeprefix("package:")
    if package == weights:
        raise ValueError(f"{key} = {weights!r}, expected package:NAME")
    state = package_state_dict(package, key)
    timm = require_timm()
    classifier = timm.create_model(WEIGHT_PACKAGES[package])
    classifier.load_state_dict(state)
    classifier = timm.layers.freeze_batch_norm_2d(classifier)
    fold_timm_norms(classifier, torch.zeros(1, 3, 64, 64))
    return classifier
