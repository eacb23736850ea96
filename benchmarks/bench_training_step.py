"""The light backbone with frozen norms folded into its convolutions, ASPP, and optimizer steps.

    python benchmarks/bench_training_step.py

"norms apart" is timm's backbone as it is; "kernels kept" is MODEL.TIMM.FREEZE_DEPTHWISE. "side by
side" is ASPP in plain PyTorch layers, with all branches concatenated. "and bfloat16" is the line
above it with SOLVER.AMP.ENABLED on the CPU. The optimizers update the parameters of ``make demo``'s
model.
"""

import copy

import timm
import torch
from timing import measure, report
from torch.nn import functional as F

from densepose_ext import get_config_file, load_config
from densepose_ext.engine.bfloat16_trainer import keep_norms_in_single_precision
from densepose_ext.engine.optimizer import build_optimizer
from densepose_ext.modeling import DensePoseDeepLabHead
from densepose_ext.modeling.build import build_model

CONFIG = "densepose_rcnn_EffLite0_FPN_synth_demo.yaml"
PICTURES, SIDE = 4, 192
ROIS, CHANNELS, CELLS = 100, 96, 14


def backbone_passes() -> dict:
    """Forward and backward passes through the stages trained by default."""
    settings = ["MODEL.DEVICE", "cpu", "MODEL.TIMM.WEIGHTS", "", "MODEL.TIMM.FREEZE_DEPTHWISE"]
    cfg = load_config(get_config_file(CONFIG), [*settings, False])
    ours = build_model(cfg).backbone.bottom_up.body
    kept = build_model(load_config(get_config_file(CONFIG), [*settings, True]))
    kept = kept.backbone.bottom_up.body
    apart = timm.create_model(cfg.MODEL.TIMM.NAME, features_only=True)
    apart = timm.layers.freeze_batch_norm_2d(apart).to(memory_format=torch.channels_last)
    apart.load_state_dict(ours.state_dict())
    trained = {name for name, parameter in ours.named_parameters() if parameter.requires_grad}
    for name, parameter in apart.named_parameters():
        parameter.requires_grad_(name in trained)
    images = torch.randn(PICTURES, 3, SIDE, SIDE).to(memory_format=torch.channels_last)

    def run(body, low_precision=False):
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            features = body(images)[2:]
        sum(feature.float().mean() for feature in features).backward()

    return {
        "norms apart": lambda: run(apart),
        "norms in weights": lambda: run(ours),
        "kernels kept": lambda: run(kept),
        "and bfloat16": lambda: run(kept, low_precision=True),
    }


def aspp_passes() -> dict:
    """Forward and backward passes through the DeepLab head's pyramid, channels last."""
    last = torch.channels_last
    aspp = DensePoseDeepLabHead(CHANNELS, num_convs=0, conv_dim=CHANNELS).ASPP.to(
        memory_format=last
    )
    rois = torch.randn(ROIS, CHANNELS, CELLS, CELLS).to(memory_format=last).requires_grad_()

    def side_by_side() -> torch.Tensor:
        first, *dilated, pooling = aspp.convs
        maps = [first(rois)]
        for conv, *norm_relu in dilated:
            reach = {"padding": conv.padding, "dilation": conv.dilation}
            maps.append(F.conv2d(rois, conv.weight, **reach))
            for layer in norm_relu:
                maps[-1] = layer(maps[-1])
        maps.append(pooling(rois).expand(-1, -1, CELLS, CELLS))
        return aspp.project(torch.cat(maps, dim=1))

    rounded = copy.deepcopy(aspp)
    keep_norms_in_single_precision(rounded)

    def in_bfloat16() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return rounded(rois)

    return {
        "side by side": lambda: side_by_side().mean().backward(),
        "ours": lambda: aspp(rois).mean().backward(),
        "and bfloat16": lambda: in_bfloat16().float().mean().backward(),
    }


def optimizer_steps() -> dict:
    """A step of each optimizer, with given gradients."""

    def step(*overrides):
        settings = ["MODEL.DEVICE", "cpu", "MODEL.TIMM.WEIGHTS", "", *overrides]
        cfg = load_config(get_config_file(CONFIG), settings)
        model = build_model(cfg)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter) if parameter.requires_grad else None
        return build_optimizer(cfg, model), model

    adamw, _ = step("SOLVER.OPTIMIZER", "AdamW")
    muon, _ = step("SOLVER.OPTIMIZER", "Muon")
    plain, _ = step("SOLVER.OPTIMIZER", "AdamW")
    for group in plain.param_groups:
        group["fused"] = False
    return {"AdamW, not fused": plain.step, "AdamW": adamw.step, "Muon": muon.step}


def main() -> None:
    torch.manual_seed(0)
    title = f"light backbone, {PICTURES} pictures of {SIDE}, forward and backward"
    report(title, measure(backbone_passes()), "norms apart")
    title = f"ASPP, {ROIS} maps of {CHANNELS} x {CELLS} x {CELLS}, forward and backward"
    report(title, measure(aspp_passes()), "side by side")
    report("a step of the optimizer", measure(optimizer_steps()), "AdamW")


if __name__ == "__main__":
    main()
