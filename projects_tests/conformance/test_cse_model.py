"""Whole CSE models, their raw maps and results, compared with the official project's."""

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances

from densepose_ext import densepose_results, load_config
from densepose_ext.engine.checkpoint import DensePoseCheckpointer
from projects_tests.reference import conformance_cases


@pytest.fixture(scope="module", params=conformance_cases("cse/model"))
def case(request, tmp_path_factory):
    """(model, its expected outputs, its outputs for given boxes)."""
    cfg = load_config(str(request.param / "config.yaml"), ["MODEL.DEVICE", "cpu"])
    model = build_model(cfg).eval()
    # Stored in half precision, exact in single.
    state = torch.load(request.param / "model.pth", weights_only=True)["model"]
    path = tmp_path_factory.mktemp("weights") / "model.pth"
    torch.save({"model": {name: value.float() for name, value in state.items()}}, path)
    assert not DensePoseCheckpointer(model).load(str(path))
    assert state.keys() <= model.state_dict().keys()
    expected = np.load(request.param / "inference.npz")
    image = torch.from_numpy(expected["image_u8"]).float()
    instances = Instances(image.shape[1:])
    instances.pred_boxes = Boxes(torch.from_numpy(expected["given_boxes"]))
    instances.pred_classes = torch.from_numpy(expected["given_classes"])
    with torch.no_grad():
        features = model.backbone(model.preprocess_image([{"image": image}]).tensor)
        (instances,) = model.roi_heads.forward_with_given_boxes(features, [instances])
    return model, expected, instances.pred_densepose


def test_detections(case):
    model, expected, _ = case
    image = torch.from_numpy(expected["image_u8"]).float()
    height, width = image.shape[1:]
    with torch.no_grad():
        found = model([{"image": image, "height": height, "width": width}])[0]["instances"]
    np.testing.assert_allclose(found.pred_boxes.tensor, expected["detected_boxes"], atol=1e-3)
    np.testing.assert_allclose(found.scores, expected["detected_scores"], atol=1e-5)
    np.testing.assert_array_equal(found.pred_classes, expected["detected_classes"])
    assert len(found.pred_densepose) == len(found)


def test_raw_maps(case):
    _, expected, output = case
    names = [key.removeprefix("raw_") for key in expected.files if key.startswith("raw_")]
    assert sorted(names) == sorted(name for name, _ in output.items())
    for name in names:
        reference = expected[f"raw_{name}"]
        found = getattr(output, name)[: len(reference), :, ::4, ::4].numpy()
        scale = np.abs(reference).max()
        np.testing.assert_allclose(found, reference, rtol=0, atol=1e-4 * scale, err_msg=name)


def test_vertex_embeddings(case):
    model, expected, _ = case
    prefix = "vertex_embeddings_"
    for key in expected.files:
        if key.startswith(prefix):
            found = model.roi_heads.embedder(key.removeprefix(prefix)).detach()
            np.testing.assert_allclose(found, expected[key], rtol=0, atol=1e-4)


def test_results(case):
    _, expected, output = case
    results = densepose_results(output, torch.from_numpy(expected["given_boxes"]))
    for n, (result, mesh) in enumerate(zip(results, output.meshes.names())):
        assert result.mesh == mesh
        mask, vertices = expected[f"result{n}_mask"], expected[f"result{n}_vertices"]
        assert result.vertices.shape == mask.shape
        assert ((result.labels.numpy() > 0) == mask).mean() >= 0.999
        margin = expected[f"result{n}_margin"].astype(np.float32)
        clear = mask & (margin > 1e-5 * max(1.0, float(margin.max())))
        assert (result.vertices.numpy() == vertices)[clear].mean() >= 0.999
        assert (result.vertices.numpy()[~mask] == 0).mean() >= 0.999
