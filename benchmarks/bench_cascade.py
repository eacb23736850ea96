"""What the second stage of a cascade adds to the time of the dense pose branch.

    python benchmarks/bench_cascade.py
    python benchmarks/bench_cascade.py --config densepose_rcnn_R_50_FPN_DL_s1x --people 20

The branch is decoder, pooling, head and predictor, from the feature levels of one picture to maps
of the people in it, with random weights. The second stage has half the convolutions of the first.
"""

from __future__ import annotations

import argparse

import torch
from detectron2.structures import Boxes
from timing import measure, report

from densepose_ext import get_config_file, load_config
from densepose_ext.engine.trainer import build_model

CASCADE = "MODEL.DENSEPOSE_CASCADE."
HEIGHT, WIDTH = 800, 1088


def variants(later_convs: int) -> dict[str, list]:
    """Overrides of a config."""
    two_stages = [CASCADE + "STAGES", 2, CASCADE + "NUM_STACKED_CONVS", later_convs]
    return {
        "one stage": [],
        "two stages": two_stages,
        "two stages, outputs alone": [*two_stages, CASCADE + "TALK_FEATURES", False],
    }


def branch(config: str, overrides: list, levels: dict[str, torch.Tensor], boxes: Boxes):
    """Runs the branch of a model once each time it is called."""
    off = ["MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "MODEL.TIMM.WEIGHTS", ""]
    heads = build_model(load_config(get_config_file(config), [*off, *overrides])).eval().roi_heads
    return lambda: heads._densepose_inference(levels, [boxes])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--config",
        nargs="+",
        default=["densepose_rcnn_R_50_FPN_s1x", "densepose_rcnn_EffLite0_FPN_s1x"],
    )
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(0)
    corners = torch.rand(args.people, 2) * torch.tensor([WIDTH * 0.6, HEIGHT * 0.5])
    boxes = Boxes(torch.cat([corners, corners + torch.tensor([WIDTH * 0.2, HEIGHT * 0.4])], 1))
    for config in args.config:
        cfg = load_config(get_config_file(f"{config}.yaml"))
        levels = {
            f"p{n}": torch.randn(1, cfg.MODEL.FPN.OUT_CHANNELS, HEIGHT >> n, WIDTH >> n)
            for n in range(2, 6)
        }
        convs = cfg.MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS // 2
        with torch.inference_mode():
            times = measure(
                {
                    name: branch(f"{config}.yaml", overrides, levels, boxes)
                    for name, overrides in variants(convs).items()
                },
                args.repeats,
            )
        title = f"{config}, {args.people} people, {convs} convolutions in the second stage"
        report(title, times, baseline="one stage")


if __name__ == "__main__":
    main()
