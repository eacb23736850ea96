"""The whole R-CNN: a picture in, people's boxes, scores and maps out."""

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
    """A GeneralizedRCNN by Detectron2's own tracing.

    It takes a picture (3, H, W) uint8, of any size, in the order of the model's INPUT.FORMAT, and
    gives boxes (N, 4) XYXY in its pixels, scores (N,) and the maps, best score first. Masks and
    keypoints of a model that has them are left out.

    Args:
        maps: names of the maps of DensePoseOutput that the model gives.
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
    # The number of people has to stay a tensor there, as in Detectron2's own heads.
    with patch_builtin_len(["densepose_ext.modeling.roi_heads"]):
        [people] = model.inference(inputs, do_postprocess=False)
    maps = (value for _, value in people.pred_densepose.items())
    return people.pred_boxes.tensor, people.scores, *maps
