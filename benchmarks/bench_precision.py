"""The dense pose branch of the standard model at inference, 20 people, by precision.

    python benchmarks/bench_precision.py

"plain" runs the layers one by one, in fp32, each transposed convolution by itself. The weights are
random, so more parts nearly tie than with trained weights.
"""

import torch
from detectron2.layers import ShapeSpec
from detectron2.structures import Boxes
from timing import measure, report
from torch.nn import functional as F

from densepose_ext import densepose_results, get_config_file, load_config
from densepose_ext.modeling import DensePoseROIHeads

PEOPLE = 20


def make_roi_heads() -> DensePoseROIHeads:
    cfg = load_config(get_config_file("densepose_rcnn_R_50_FPN_s1x.yaml"), ["MODEL.DEVICE", "cpu"])
    shapes = {f"p{n}": ShapeSpec(channels=256, stride=2**n) for n in range(2, 7)}
    return DensePoseROIHeads(cfg, shapes).eval()


@torch.no_grad()
def plain(heads: DensePoseROIHeads, features: dict, boxes: Boxes) -> dict[str, torch.Tensor]:
    rois = heads.densepose_pooler([heads.decoder(features)], [boxes])
    x = heads.densepose_head(rois)
    predictor = heads.densepose_predictor
    return {
        name: F.interpolate(layer(x), scale_factor=2, mode="bilinear")
        for name, layer in predictor.named_children()
    }


def main() -> None:
    torch.manual_seed(0)
    heads = make_roi_heads()
    # A picture of 480 x 640 at a shorter side of 800, and smooth features as a backbone gives.
    features = {
        f"p{n}": F.interpolate(torch.randn(1, 256, 13, 17), size=(800 // 2**n, 1088 // 2**n))
        for n in range(2, 6)
    }
    corners = torch.rand(PEOPLE, 2) * torch.tensor([700.0, 300.0])
    boxes = Boxes(torch.cat([corners, corners + torch.tensor([266.0, 480.0])], dim=1))

    def branch(precision: str):
        heads.densepose_precision = precision
        return heads._densepose_inference(features, [boxes])

    outputs = {name: branch(name) for name in ("fp32", "bf16")}
    exact, fast = (densepose_results(o, boxes.tensor) for o in outputs.values())
    same = sum((a.labels == b.labels).float().mean().item() for a, b in zip(exact, fast)) / PEOPLE

    times = measure(
        {
            "plain": lambda: plain(heads, features, boxes),
            "fp32": lambda: branch("fp32"),
            "bf16": lambda: branch("bf16"),
        },
        repeats=3,
    )
    report(f"dense pose branch, {PEOPLE} people, {same:.2%} labels equal", times, "fp32")


if __name__ == "__main__":
    main()
