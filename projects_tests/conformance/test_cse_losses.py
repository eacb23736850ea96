"""Losses of embeddings and their gradients, compared with the official project's."""

import json

import numpy as np
import pytest
import torch
from detectron2.structures import BitMasks, Boxes, Instances
from pycocotools import mask as coco_mask

from densepose_ext import DensePoseAnnotationList, load_config
from densepose_ext.data import densepose_annotation, read_densepose
from densepose_ext.modeling.embeddings.embedder import build_embedder
from densepose_ext.modeling.registry import build_densepose_loss
from densepose_ext.structures import DensePoseEmbeddingOutput
from projects_tests.reference import conformance_cases


@pytest.fixture(autouse=True, scope="module")
def _meshes(tmp_path_factory):
    (case, *_) = conformance_cases("cse/losses")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path_factory.mktemp("cache")))
        if case.values[0] is not None:
            patch.setenv("DENSEPOSE_EXT_MESHES", str(case.values[0].parents[1] / "meshes"))
        yield


def proposals_of(image: dict, image_size: list[int]) -> Instances:
    annotations, masks = [], []
    for annotation in image["annotations"]:
        checked = read_densepose(annotation)
        annotations.append(None if checked is None else densepose_annotation(checked))
        if "segmentation" in annotation:
            masks.append(coco_mask.decode(annotation["segmentation"]).astype(bool))
    x, y, w, h = torch.tensor([a["bbox"] for a in image["annotations"]]).T
    gt_boxes = torch.stack([x, y, x + w, y + h], dim=1)
    person = torch.tensor([proposal["annotation"] for proposal in image["proposals"]])
    instances = Instances(tuple(image_size))
    instances.proposal_boxes = Boxes(torch.tensor([p["box_xyxy"] for p in image["proposals"]]))
    instances.gt_boxes = Boxes(gt_boxes[person])
    instances.gt_densepose = DensePoseAnnotationList(annotations)[person]
    if len(masks) == len(annotations):
        instances.gt_masks = BitMasks(torch.from_numpy(np.stack(masks)))[person]
    return instances


@pytest.mark.parametrize("case", conformance_cases("cse/losses"))
def test_losses_and_gradients(case):
    cfg = load_config(str(case / "config.yaml"), ["MODEL.WEIGHTS", str(case / "embedder.pth")])
    loss, embedder = build_densepose_loss(cfg), build_embedder(cfg)
    assert all(value.abs().sum() > 0 for value in embedder.state_dict().values())
    expected = json.loads((case / "losses.json").read_text())
    stored = np.load(case / "loss_inputs.npz")
    maps = {}
    for name in stored.files:
        value = torch.from_numpy(stored[name].astype(np.float32))
        factor = expected["heatmap_size"] // value.shape[-1]
        value = value.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        maps[name] = value.requires_grad_()
    proposals = [proposals_of(image, expected["image_size"]) for image in expected["images"]]

    losses = loss(proposals, DensePoseEmbeddingOutput(**maps), embedder)
    assert sorted(losses) == sorted(expected["losses"])
    for name, value in losses.items():
        assert value.item() == pytest.approx(expected["losses"][name], rel=1e-4, abs=1e-9), name

    sum(losses.values()).backward()
    for name, norm in expected["grad_l2"].items():
        gradient = maps[name].grad
        found = 0.0 if gradient is None else gradient.norm().item()
        assert found == pytest.approx(norm, rel=1e-3, abs=1e-9), name
    parameters = {f"roi_heads.embedder.{n}": p for n, p in embedder.named_parameters()}
    trained = {name for name, p in parameters.items() if p.requires_grad}
    assert trained == expected["grad_l2_parameters"].keys()
    for name, norm in expected["grad_l2_parameters"].items():
        assert parameters[name].grad.norm().item() == pytest.approx(norm, rel=1e-3, abs=1e-9), name
