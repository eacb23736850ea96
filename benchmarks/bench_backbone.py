"""The backbone of R_50 on a picture of 800 x 1216 pixels, on the CPU.

    python benchmarks/bench_backbone.py

"plain" is Detectron2's: a frozen norm after each convolution, channels first. The others compute
norms with their convolutions, as all models of this package do, and the last keeps channels last,
as predictors do on a CPU.
"""

import copy

import torch
from detectron2.layers import FrozenBatchNorm2d
from detectron2.modeling import build_backbone
from timing import measure, report

from densepose_ext import get_config_file, load_config
from densepose_ext.modeling.backbones.folded_norms import fold_frozen_norms

CONFIG = "densepose_rcnn_R_50_FPN_s1x.yaml"
HEIGHT, WIDTH = 800, 1216


@torch.no_grad()
def main() -> None:
    torch.manual_seed(0)
    plain = build_backbone(load_config(get_config_file(CONFIG), ["MODEL.DEVICE", "cpu"])).eval()
    for module in plain.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    folded = copy.deepcopy(plain)
    fold_frozen_norms(folded)
    last = copy.deepcopy(folded).to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, HEIGHT, WIDTH)
    expected = plain(image)
    for body in (folded, last):
        for name, features in body(image).items():
            assert (features - expected[name]).abs().max() < 1e-4 * expected[name].abs().max()
    times = measure(
        {
            "plain": lambda: plain(image),
            "norms folded": lambda: folded(image),
            "norms folded, channels last": lambda: last(image),
        }
    )
    report(f"backbone of R_50, {HEIGHT} x {WIDTH} pixels", times, "plain")


if __name__ == "__main__":
    main()
