"""The dense pose branch alone, for use with another detector on the same features."""

from __future__ import annotations

import copy

import torch
from detectron2.structures import Boxes
from torch import nn

from ..structures import DensePoseEmbeddingOutput, DensePoseOutput
from .network import Network


class DensePoseBranch(nn.Module):
    """Features of one picture, and boxes, to maps: pooling, head and predictor of a model."""

    def __init__(self, roi_heads: nn.Module):
        """
        Args:
            roi_heads: DensePoseROIHeads, with dense pose on.
        """
        super().__init__()
        # not roi_heads itself: weights that dense pose does not need would go into the file
        self.roi_heads = copy.copy(roi_heads)
        self.roi_heads.mask_on = self.roi_heads.keypoint_on = False
        cascade, kept = roi_heads.cascade, ("densepose",)
        if cascade is not None:
            cascade, kept = cascade.densepose_only()
        self.roi_heads._modules = {
            "cascade": cascade,
            **{
                name: module
                for name, module in roi_heads.named_children()
                if name == "decoder" or name.split("_")[0] in kept
            },
        }
        levels = [getattr(roi_heads, f"{task}_in_features") for task in kept]
        self.levels = list(dict.fromkeys(name for names in levels for name in names))

    def output(self, *levels_and_boxes: torch.Tensor) -> DensePoseOutput | DensePoseEmbeddingOutput:
        """The outputs of :meth:`forward`, by name."""
        *levels, boxes = levels_and_boxes
        features = dict(zip(self.levels, levels))
        # One box more than there are: onnxruntime cannot reshape tensors of none.
        boxes = torch.cat([boxes, boxes.new_tensor([[0.0, 0.0, 1.0, 1.0]])])
        return self.roi_heads._densepose_inference(features, [Boxes(boxes)])[:-1]

    def forward(self, *levels_and_boxes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """
        Args:
            levels_and_boxes: a map (1, channels, H / stride, W / stride) for each of
                :attr:`levels`, then boxes (N, 4) XYXY in pixels of the picture of H x W.

        Returns:
            the model's maps (N, channels, S, S), in the order of its output.
        """
        return tuple(value for _, value in self.output(*levels_and_boxes).items())


def branch_network(
    model: nn.Module,
) -> tuple[Network, DensePoseOutput | DensePoseEmbeddingOutput]:
    """The branch of a GeneralizedRCNN, and example maps from it."""
    module = DensePoseBranch(model.roi_heads).eval()
    traced, others = _example(model, module.levels, 4, 5), _example(model, module.levels, 6, 3)
    others["boxes"] = others["boxes"][[1, 0, 1]]
    output = module.output(*traced.values())
    maps = [name for name, _ in output.items()]
    varying = {
        **{name: {2: f"{name}_rows", 3: f"{name}_columns"} for name in module.levels},
        **{name: {0: "people"} for name in ["boxes", *maps]},
    }
    return Network(module, traced, others, maps, varying), output


def _example(
    model: nn.Module, levels: list[str], rows: int, columns: int
) -> dict[str, torch.Tensor]:
    """Random features, ``rows`` x ``columns`` on the coarsest level, and two boxes."""
    generator = torch.Generator().manual_seed(rows)
    shapes = model.backbone.output_shape()
    coarsest = max(shapes[name].stride for name in levels)
    example = {}
    for name in levels:
        times = coarsest // shapes[name].stride
        shape = (1, shapes[name].channels, rows * times, columns * times)
        example[name] = torch.rand(shape, generator=generator).to(model.device)
    height, width = rows * coarsest, columns * coarsest
    boxes = [[0.0, 0.0, width / 2, height / 2], [10.0, 20.0, width - 1.0, height - 1.0]]
    example["boxes"] = torch.tensor(boxes, device=model.device)
    return example
