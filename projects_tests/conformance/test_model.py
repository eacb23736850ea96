"""The whole model, its raw maps and its results, compared with the official project's."""

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances

from densepose_ext import densepose_results, load_config
from densepose_ext.engine.checkpoint import DensePoseCheckpointer
from projects_tests.reference import conformance_cases

CONFIDENCES = ("sigma_2", "kappa_u", "kappa_v", "fine_segm_confidence", "coarse_segm_confidence")


@pytest.fixture(scope="module", params=conformance_cases("model"))
def case(request, tmp_path_factory):
    """(model, its expected outputs, features of its picture)."""
    cfg = load_config(str(request.param / "config.yaml"), ["MODEL.DEVICE", "cpu"])
    model = build_model(cfg).eval()
    # Stored in half precision, exact in single.
    state = torch.load(request.param / "model.pth", weights_only=True)["model"]
    state = {name: value.float() for name, value in state.items()}
    path = tmp_path_factory.mktemp("weights") / "model.pth"
    torch.save({"model": state}, path)
    DensePoseCheckpointer(model).load(str(path))
    expected = np.load(request.param / "inference.npz")
    image = torch.from_numpy(expected["image_u8"]).float()
    with torch.no_grad():
        features = model.backbone(model.preprocess_image([{"image": image}]).tensor)
    return model, expected, features


@pytest.fixture(scope="module")
def given_boxes_output(case):
    model, expected, features = case
    instances = Instances(expected["image_u8"].shape[1:])
    instances.pred_boxes = Boxes(torch.from_numpy(expected["given_boxes"]))
    instances.pred_classes = torch.zeros(len(instances), dtype=torch.int64)
    with torch.no_grad():
        (instances,) = model.roi_heads.forward_with_given_boxes(features, [instances])
    return instances.pred_densepose


@pytest.mark.slow
def test_parameter_names_are_those_of_the_checkpoint(case):
    model, _, _ = case
    saved = model.state_dict()
    assert any(name.startswith("roi_heads.densepose_predictor.ann_index_lowres") for name in saved)


def test_detections(case):
    model, expected, _ = case
    image = torch.from_numpy(expected["image_u8"]).float()
    height, width = image.shape[1:]
    with torch.no_grad():
        found = model([{"image": image, "height": height, "width": width}])[0]["instances"]
    # Two versions of Detectron2 differ by 3e-5 pixels.
    np.testing.assert_allclose(found.pred_boxes.tensor, expected["detected_boxes"], atol=1e-3)
    np.testing.assert_allclose(found.scores, expected["detected_scores"], atol=1e-5)
    assert len(found.pred_densepose) == len(found)


def test_raw_maps(case, given_boxes_output):
    _, expected, _ = case
    names = [key.removeprefix("raw_") for key in expected.files if key.startswith("raw_")]
    assert sorted(names) == sorted(name for name, _ in given_boxes_output.items())
    for name in names:
        reference = expected[f"raw_{name}"]
        found = getattr(given_boxes_output, name)[: len(reference), :, ::4, ::4].numpy()
        scale = np.abs(reference).max()
        np.testing.assert_allclose(found, reference, rtol=0, atol=1e-4 * scale, err_msg=name)


def test_results(case, given_boxes_output):
    _, expected, _ = case
    results = densepose_results(given_boxes_output, torch.from_numpy(expected["given_boxes"]))
    for n, result in enumerate(results):
        labels = expected[f"result{n}_labels"]
        assert result.labels.shape == labels.shape
        agree = result.labels.numpy() == labels
        assert agree.mean() >= 0.999
        difference = np.abs(result.uv.numpy() - expected[f"result{n}_uv"])
        assert (difference * agree).max() <= 1e-3
        for name in CONFIDENCES:
            if f"result{n}_{name}" in expected.files:
                reference = expected[f"result{n}_{name}"]
                difference = np.abs(getattr(result, name).numpy() - reference) * agree
                assert difference.max() <= 1e-3 * max(1, np.abs(reference).max()), name
