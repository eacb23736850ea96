"""Losses and their gradients, compared with the official project's."""

import json

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from densepose_ext import DensePoseAnnotationList, DensePoseOutput, load_config
from densepose_ext.data import densepose_annotation, read_densepose
from densepose_ext.modeling.registry import build_densepose_loss
from projects_tests.reference import conformance_cases


def proposals_of(image: dict, image_size: list[int]) -> Instances:
    annotations = []
    for annotation in image["annotations"]:
        checked = read_densepose(annotation)
        annotations.append(None if checked is None else densepose_annotation(checked))
    x, y, w, h = torch.tensor([a["bbox"] for a in image["annotations"]]).T
    gt_boxes = torch.stack([x, y, x + w, y + h], dim=1)
    person = torch.tensor([proposal["annotation"] for proposal in image["proposals"]])
    instances = Instances(tuple(image_size))
    instances.proposal_boxes = Boxes(torch.tensor([p["box_xyxy"] for p in image["proposals"]]))
    instances.gt_boxes = Boxes(gt_boxes[person])
    instances.gt_densepose = DensePoseAnnotationList(annotations)[person]
    return instances


@pytest.mark.parametrize("case", conformance_cases("model"))
def test_losses_and_gradients(case):
    loss = build_densepose_loss(load_config(str(case / "config.yaml")))
    expected = json.loads((case / "losses.json").read_text())
    stored = np.load(case / "loss_inputs.npz")
    maps = {}
    for name in stored.files:
        value = torch.from_numpy(stored[name].astype(np.float32))
        factor = expected["heatmap_size"] // value.shape[-1]
        value = value.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        maps[name] = value.requires_grad_()
    proposals = [proposals_of(image, expected["image_size"]) for image in expected["images"]]

    losses = loss(proposals, DensePoseOutput(**maps))
    assert sorted(losses) == sorted(expected["losses"])
    for name, value in losses.items():
        assert value.item() == pytest.approx(expected["losses"][name], rel=1e-4), name

    sum(losses.values()).backward()
    for name, norm in expected["grad_l2"].items():
        gradient = maps[name].grad
        found = 0.0 if gradient is None else gradient.norm().item()
        assert found == pytest.approx(norm, rel=1e-3, abs=1e-9), name
