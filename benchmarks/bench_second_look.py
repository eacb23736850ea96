"""The second look at the boxes of a picture: its size and its precision.

    python benchmarks/bench_second_look.py

bfloat16 (``--precision bf16``) is faster on CPUs with units for it only (AMX).
"""

import torch
from detectron2.structures import Boxes
from timing import measure, report

from densepose_ext import get_config_file, load_config
from densepose_ext.modeling import SecondLook

CONFIG = "densepose_rcnn_EffLite0_FPN_synth.yaml"
BOXES = 20


def second_look(size: int, precision: str) -> SecondLook:
    look, head = "MODEL.SECOND_LOOK.SIZE", "MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION"
    return SecondLook(load_config(get_config_file(CONFIG), [look, size, head, precision]))


@torch.no_grad()
def main() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, 320, 608, generator=generator)
    corners = torch.rand(BOXES, 2, generator=generator) * torch.tensor([400, 120])
    boxes = Boxes(torch.cat([corners, corners + torch.tensor([80, 200])], 1))
    looks = {
        f"{size} pixels, {precision}": second_look(size, precision)
        for size in (160, 128)
        for precision in ("fp32", "bf16")
    }
    times = measure({name: lambda look=look: look(image, [boxes]) for name, look in looks.items()})
    report(f"second look at {BOXES} boxes", times, "160 pixels, fp32")


if __name__ == "__main__":
    main()
