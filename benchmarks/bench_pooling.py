"""RoIAlign on the CPU: Detectron2's pooler and ours, forward and with the backward pass.

    python benchmarks/bench_pooling.py

The RoIs are those of a step of ``make demo`` and of the box and dense pose branches of R_50.
"""

import torch
from detectron2.modeling.poolers import ROIPooler
from detectron2.structures import Boxes
from timing import measure, report

from densepose_ext.modeling.pooling import RowPooler

STRIDES = (8, 16, 32)
#: Pictures, their side, channels, RoIs per picture, side of a RoI in cells, samples per cell.
CASES = {
    "make demo, boxes": (8, 192, 96, 32, 7, 1),
    "make demo, dense pose": (8, 192, 96, 4, 14, 1),
    "R_50, boxes": (1, 800, 256, 512, 7, 2),
    "R_50, dense pose": (1, 800, 256, 32, 28, 2),
}


def passes(pictures: int, side: int, channels: int, rois: int, size: int, samples: int) -> dict:
    levels = [
        torch.randn(pictures, channels, side // stride, side // stride)
        .contiguous(memory_format=torch.channels_last)
        .requires_grad_()
        for stride in STRIDES
    ]
    corners = (torch.rand(pictures, rois, 2, 2) * side).sort(dim=2).values
    boxes = [Boxes(image.flatten(1)) for image in corners]
    theirs = ROIPooler(size, [1 / stride for stride in STRIDES], samples, "ROIAlignV2")
    ours = RowPooler(theirs)
    gradient = torch.randn(pictures * rois, channels, size, size)

    def forward(pooler):
        with torch.no_grad():
            pooler(levels, boxes)

    def both(pooler):
        torch.autograd.grad(pooler(levels, boxes), levels, gradient)

    return {
        "Detectron2, forward": lambda: forward(theirs),
        "ours, forward": lambda: forward(ours),
        "Detectron2, both passes": lambda: both(theirs),
        "ours, both passes": lambda: both(ours),
    }


def main() -> None:
    torch.manual_seed(0)
    for title, case in CASES.items():
        report(title, measure(passes(*case)), "Detectron2, both passes")


if __name__ == "__main__":
    main()
