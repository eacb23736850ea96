"""The teacher: a fully convolutional network for crops of single people.

DensePose, CVPR 2018, section 3.4: people are cropped, resized to one size, and everything outside
their mask is removed. Trained on sparse points, the teacher predicts dense pose at every pixel, on
which students are trained.
"""

from __future__ import annotations

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ROIAlign
from detectron2.modeling import META_ARCH_REGISTRY, build_backbone
from detectron2.structures import Boxes, ImageList, Instances
from torch import nn

from .decoder import DensePoseDecoder
from .registry import (
    build_densepose_head,
    build_densepose_loss,
    build_densepose_predictor,
)


@META_ARCH_REGISTRY.register()
class DensePoseTeacher(nn.Module):
    """Predicts dense pose of people whose boxes and masks are given.

    Backbone and decoder make a map of stride 8 of each person's crop; head and predictor, as in the
    R-CNN, are applied to the whole map.
    """

    @configurable
    def __init__(
        self,
        *,
        backbone: nn.Module,
        decoder: nn.Module,
        densepose_head: nn.Module,
        densepose_predictor: nn.Module,
        densepose_loss,
        pixel_mean: tuple[float, ...],
        pixel_std: tuple[float, ...],
        crop_size: int = 256,
        margin: float = 0.1,
    ):
        """
        Args:
            backbone: image -> levels by name.
            decoder: levels -> one map.
            densepose_head, densepose_predictor, densepose_loss: as of DensePoseROIHeads.
            pixel_mean, pixel_std: of the three channels.
            crop_size: side of the square to which crops are resized, pixels.
            margin: around the person's box, in terms of its longer side.
        """
        super().__init__()
        self.backbone = backbone
        # Named as in the R-CNN: optimizers recognize the last layers by their names.
        self.densepose = nn.ModuleDict(
            {
                "decoder": decoder,
                "densepose_head": densepose_head,
                "densepose_predictor": densepose_predictor,
            }
        )
        self.densepose_loss = densepose_loss
        self.crop_size = crop_size
        self.margin = margin
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), False)
        self.pooler = ROIAlign((crop_size, crop_size), 1.0, sampling_ratio=0, aligned=True)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict:
        node = cfg.MODEL.DENSEPOSE_TEACHER
        backbone = build_backbone(cfg)
        divisor = backbone.size_divisibility
        if node.CROP_SIZE < 1 or node.CROP_SIZE % max(divisor, 1):
            raise ValueError(
                f"MODEL.DENSEPOSE_TEACHER.CROP_SIZE = {node.CROP_SIZE}, expected a multiple of"
                f" {divisor}"
            )
        if node.MARGIN < 0:
            raise ValueError(f"MODEL.DENSEPOSE_TEACHER.MARGIN = {node.MARGIN}, expected 0 or more")
        decoder = DensePoseDecoder(cfg, backbone.output_shape())
        head = build_densepose_head(cfg, decoder.output_channels)
        return {
            "backbone": backbone,
            "decoder": decoder,
            "densepose_head": head,
            "densepose_predictor": build_densepose_predictor(cfg, head.output_channels),
            "densepose_loss": build_densepose_loss(cfg),
            "pixel_mean": cfg.MODEL.PIXEL_MEAN,
            "pixel_std": cfg.MODEL.PIXEL_STD,
            "crop_size": node.CROP_SIZE,
            "margin": node.MARGIN,
        }

    @property
    def device(self) -> torch.device:
        return self.pixel_mean.device

    def forward(self, batched_inputs: list[dict]):
        """
        Args:
            batched_inputs: a dict per image with ``image`` (3, H, W) and ``instances``, which have
                ``gt_boxes``, ``gt_masks`` and, in training, ``gt_densepose``.

        Returns:
            in training, the losses; else the instances of each image, with ``pred_boxes``, squares
            of whole pixels around people, and ``pred_densepose``, the maps of these squares.
        """
        people = [x["instances"].to(self.device) for x in batched_inputs]
        if self.training:
            people = [image[_is_trained(image)] for image in people]
        squares = [self._squares(image.gt_boxes.tensor) for image in people]
        crops = self._crops([x["image"] for x in batched_inputs], people, squares)
        features = self.densepose["decoder"](self.backbone(crops))
        features = self.densepose["densepose_head"](features)
        output = self.densepose["densepose_predictor"](features)
        if self.training:
            for image, boxes in zip(people, squares):
                image.proposal_boxes = Boxes(boxes)
            return self.densepose_loss(people, output)
        first = 0
        for image, boxes in zip(people, squares):
            image.pred_boxes = Boxes(boxes)
            image.pred_densepose = output[first : first + len(image)]
            first += len(image)
        return people

    def _squares(self, boxes: torch.Tensor) -> torch.Tensor:
        """Boxes (N, 4) XYXY -> squares (N, 4) of whole pixels around them."""
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        side = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) * (1 + 2 * self.margin)
        low = (centers - side / 2).floor()
        return torch.cat([low, low + side.ceil() + 1], dim=1)

    def _crops(
        self, images: list[torch.Tensor], people: list[Instances], squares: list[torch.Tensor]
    ) -> torch.Tensor:
        """(N, 3, crop_size, crop_size), normalized; 0, the mean colour, outside the masks."""
        normalized = [
            (image.to(self.device).float() - self.pixel_mean) / self.pixel_std for image in images
        ]
        batch = ImageList.from_tensors(normalized).tensor
        rois = torch.cat(
            [
                torch.cat([boxes.new_full((len(boxes), 1), number), boxes], dim=1)
                for number, boxes in enumerate(squares)
            ]
        )
        crops = self.pooler(batch, rois)
        masks = [
            image.gt_masks.crop_and_resize(boxes, self.crop_size)
            for image, boxes in zip(people, squares)
            if len(image)
        ]
        if not masks:
            return crops
        return crops * torch.cat(masks).to(crops)[:, None]


def _is_trained(image: Instances) -> torch.Tensor:
    """(N,) bool: whether a person has both dense pose and a mask."""
    if not (image.has("gt_densepose") and image.has("gt_masks")):
        return torch.zeros(len(image), dtype=torch.bool, device=image.gt_boxes.device)
    return image.gt_densepose.present & image.gt_masks.nonempty().to(image.gt_boxes.device)
