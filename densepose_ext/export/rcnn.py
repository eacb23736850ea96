"""The whole R-CNN: from a picture to boxes, scores and maps of people."""

from __future__ import annotations

import numpy as np
import torch
from detectron2.export import TracingAdapter
from detectron2.export.torchscript_patch import patch_builtin_len
from torch import nn

from ..synthetic.example import make_example
from ..synthetic.settings import Settings
from .network import Network


def rcnn_network(model: nn.Module, maps: list[str]) -> Network:
    """A GeneralizedRCNN in Detectron2's tracing adapter.

    It takes a picture (3, H, W) uint8 of any size, in the channel order of INPUT.FORMAT, and
    returns boxes (N, 4) XYXY in pixels, scores (N,) and maps, best score first. Masks and keypoints
    are left out.

    Args:
        maps: names of the DensePoseOutput maps that the model has.
    """
    image = make_example(Settings(size=320), "val", 0).image  # people, for most models
    if model.input_format == "BGR":
        image = image[:, :, ::-1]
    picture = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    traced = picture[:, :, :256].contiguous()
    outputs = ["boxes", "scores", *maps]
    return Network(
        TracingAdapter(model, [{"image": traced}], _people).eval(),
        {"picture": traced},
        {"picture": picture},
        outputs,
        {"picture": {1: "height", 2: "width"}, **{name: {0: "people"} for name in outputs}},
    )


def _people(model: nn.Module, inputs: list[dict]) -> tuple[torch.Tensor, ...]:
    # the number of people must stay a tensor, as in Detectron2's own heads
    with patch_builtin_len(["densepose_ext.modeling.roi_heads"]):
        [people] = model.inference(inputs, do_postprocess=False)
    maps = (value for _, value in people.pred_densepose.items())
    return people.pred_boxes.tensor, people.scores, *maps
