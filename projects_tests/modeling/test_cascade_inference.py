"""A multi-task cascade at inference: outputs of the last stage, and whom cross-talk reaches."""

import pytest
import torch
from detectron2.structures import Boxes, Instances

from densepose_ext import densepose_results
from densepose_ext.modeling import DensePoseRCNNWithTTA
from projects_tests.modeling.tiny_cascades import ALL, CASCADE, HEAD, VARIANTS, cascade, let_talk
from projects_tests.tiny_model import picture, tiny_config, tiny_model

pytestmark = pytest.mark.slow  # each builds models


def detect(model):
    with torch.no_grad():
        return model.eval()([picture()])[0]["instances"]


def detect_in_boxes(model):
    boxes = torch.tensor([[10.0, 10, 100, 90], [3.3, 5.1, 40.9, 60.2]])
    instances = Instances((96, 128), pred_boxes=Boxes(boxes))
    instances.pred_classes = torch.zeros(2, dtype=torch.int64)
    with torch.no_grad():
        features = model.backbone(model.preprocess_image([picture()]).tensor)
        (found,) = model.roi_heads.forward_with_given_boxes(features, [instances])
    return found


@pytest.mark.parametrize("variant", [None, "WC2M", "without decoder", "three stages"])
def test_inference_returns_the_outputs_of_the_last_stage(variant):
    model = tiny_model(*cascade(ALL, *VARIANTS.get(variant, [])))
    let_talk(model)
    found = detect(model)
    assert len(found) > 0
    assert found.pred_keypoints.shape == (len(found), 17, 3)
    assert len(found.pred_masks) == len(found)
    results = densepose_results(found.pred_densepose, found.pred_boxes.tensor)
    assert len(results) == len(found)
    with torch.no_grad():
        for name, weight in model.roi_heads.cascade.last.named_parameters():
            if name.endswith(("u_lowres.bias", "predictor.bias", "score_lowres.bias")):
                weight += 1
    other = detect(model)
    confidence = found.pred_densepose.fine_segm_confidence
    assert confidence is None or bool((confidence > 0).all())
    torch.testing.assert_close(other.pred_densepose.u, found.pred_densepose.u + 1)
    heatmaps = found.pred_keypoint_heatmaps
    torch.testing.assert_close(other.pred_keypoint_heatmaps, heatmaps + 1, rtol=1e-4, atol=1e-4)


def test_outputs_reach_only_the_branches_of_cross_talk():
    model = tiny_model(*cascade(ALL, CASCADE + "CROSS_TALK", ["keypoint>densepose"]))
    let_talk(model)
    before = detect_in_boxes(model)
    with torch.no_grad():
        model.roi_heads.keypoint_head.score_lowres.bias += 1
    after = detect_in_boxes(model)
    assert not torch.allclose(before.pred_densepose.u, after.pred_densepose.u)
    assert torch.equal(before.pred_masks, after.pred_masks)
    assert not torch.equal(before.pred_keypoint_heatmaps, after.pred_keypoint_heatmaps)


def test_in_a_new_cascade_cross_talk_changes_no_output():
    model = tiny_model(*cascade(ALL))
    before = detect_in_boxes(model)
    with torch.no_grad():
        model.roi_heads.keypoint_head.score_lowres.bias += 1
        model.roi_heads.densepose_predictor.u_lowres.bias += 1
    assert torch.equal(before.pred_densepose.u, detect_in_boxes(model).pred_densepose.u)


def test_without_detections_every_output_is_empty():
    model = tiny_model(*cascade(ALL, "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 1.0))
    found = detect(model)
    assert len(found) == len(found.pred_densepose) == len(found.pred_keypoints) == 0


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_changes_maps_by_less_than_a_twentieth(precision):
    key = HEAD + "INFERENCE_PRECISION"
    models = [tiny_model(*cascade(ALL, key, p)) for p in ("fp32", precision)]
    for model in models:
        let_talk(model)
    exact, fast = map(detect_in_boxes, models)
    assert fast.pred_densepose.u.dtype == fast.pred_keypoint_heatmaps.dtype == torch.float32
    for name in ("u", "fine_segm"):
        one, other = getattr(exact.pred_densepose, name), getattr(fast.pred_densepose, name)
        assert (one - other).abs().max() < 0.05 * one.abs().max()


def test_augmentation_with_one_version_equals_plain_inference():
    """With one version, the picture itself, results are the model's; keypoints still take part."""
    aug = [
        "TEST.AUG.ENABLED", True, "TEST.AUG.MIN_SIZES", (96,), "TEST.AUG.FLIP", False,
        "TEST.AUG.ROTATION_ANGLES", (180,),
    ]  # fmt: skip
    cfg = tiny_config(*cascade(ALL, *aug))
    model = tiny_model(*cascade(ALL, *aug))
    let_talk(model)
    plain = cfg.clone()
    plain.defrost()
    plain.TEST.AUG.ROTATION_ANGLES = ()
    expected = detect(model)
    (once,) = DensePoseRCNNWithTTA(plain, model)([picture()])
    (twice,) = DensePoseRCNNWithTTA(cfg, model)([picture()])
    found = once["instances"]
    torch.testing.assert_close(found.pred_densepose.u, expected.pred_densepose.u)
    assert len(twice["instances"].pred_densepose) == len(expected)
    assert model.roi_heads.keypoint_on
