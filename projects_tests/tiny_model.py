"""The smallest model with all parts, on the CPU, and pictures for it."""

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from densepose_ext import get_config_file, load_config

CONFIG = "quick_schedules/densepose_rcnn_R_18_FPN_instant_test.yaml"


def tiny_config(*overrides) -> CfgNode:
    return load_config(get_config_file(CONFIG), ["MODEL.DEVICE", "cpu", *overrides])


def tiny_model(*overrides, seed: int = 0) -> torch.nn.Module:
    """With random weights, the same for the same seed."""
    torch.manual_seed(seed)
    return build_model(tiny_config(*overrides)).eval()


def picture(height: int = 96, width: int = 128, seed: int = 0) -> dict:
    """Noise, as the model takes pictures."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
    return {"image": image, "height": height, "width": width}
