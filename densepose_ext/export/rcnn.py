"""The whole R-CNN: from a picture to boxes, scores and maps of people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from detectron2.export import TracingAdapter
from detectron2.export.torchscript_patch import patch_builtin_len
from detectron2.structures import Boxes, Instances
from torch import nn

from ..structures import DensePoseEmbeddingOutput
from ..synthetic.example import make_example
from ..synthetic.settings import Settings
from .network import Network


def rcnn_network(model: nn.Module, maps: list[str], with_meshes: bool = False) -> Network:
    """A GeneralizedRCNN in Detectron2's tracing adapter.

    It takes a picture (3, H, W) uint8 of any size, in the channel order of INPUT.FORMAT, and
    returns boxes (N, 4) XYXY in pixels, scores (N,) and maps, best score first. Masks and keypoints
    are left out.

    Args:
        maps: names of the maps that the model has.
        with_meshes: a CSE model, which also returns the number of each person's mesh.
    """
    image = make_example(Settings(size=320), "val", 0).image  # people, for most models
    if model.input_format == "BGR":
        image = image[:, :, ::-1]
    picture = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    traced = picture[:, :, :256].contiguous()
    outputs = ["boxes", "scores", *(["mesh"] if with_meshes else []), *maps]
    return Network(
        TracingAdapter(model, [{"image": traced}], _people).eval(),
        {"picture": traced},
        {"picture": picture},
        outputs,
        {"picture": {1: "height", 2: "width"}, **{name: {0: "people"} for name in outputs}},
    )


@contextmanager
def _never_nobody(roi_heads: nn.Module) -> Iterator[None]:
    """Heads that see one box more than there are, whose results are dropped.

    onnxruntime cannot reshape tensors of no box, as group norm does.
    """
    original = roi_heads.forward_with_given_boxes

    def with_one_more(features, instances: list[Instances]) -> list[Instances]:
        return [image[:-1] for image in original(features, [_with_a_box(i) for i in instances])]

    roi_heads.forward_with_given_boxes = with_one_more
    try:
        yield
    finally:
        del roi_heads.forward_with_given_boxes


def _with_a_box(image: Instances) -> Instances:
    longer = Instances(image.image_size)
    box = image.pred_boxes.tensor.new_tensor([[0.0, 0.0, 1.0, 1.0]])
    longer.pred_boxes = Boxes(torch.cat([image.pred_boxes.tensor, box]))
    for name in ("scores", "pred_classes"):
        values = image.get(name)
        longer.set(name, torch.cat([values, values.new_zeros(1)]))
    return longer


def _people(model: nn.Module, inputs: list[dict]) -> tuple[torch.Tensor, ...]:
    # the number of people must stay a tensor, as in Detectron2's own heads
    with patch_builtin_len(["densepose_ext.modeling.roi_heads"]), _never_nobody(model.roi_heads):
        [people] = model.inference(inputs, do_postprocess=False)
    output = people.pred_densepose
    mesh = [output.meshes.mesh_of_person] if isinstance(output, DensePoseEmbeddingOutput) else []
    maps = (value for _, value in output.items())
    return people.pred_boxes.tensor, people.scores, *mesh, *maps
