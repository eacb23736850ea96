"""The dense pose branch inside the R-CNN."""

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

from densepose_ext import DensePoseDatasetMapper, densepose_results
from densepose_ext.data import load_densepose_coco
from densepose_ext.modeling import DensePoseROIHeads
from densepose_ext.modeling.box_refinement import clipped
from densepose_ext.modeling.roi_heads import _warn_without_annotations
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_model import picture, tiny_config, tiny_model

pytestmark = pytest.mark.slow

HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
VARIANTS = {
    "plain": [],
    "legacy": [
        HEAD + "NUM_COARSE_SEGM_CHANNELS", 15, HEAD + "POOLER_RESOLUTION", 14,
        HEAD + "HEATMAP_SIZE", 56, HEAD + "DECODER_ON", False,
    ],
    "DL": [HEAD + "NAME", "DensePoseDeepLabHead", HEAD + "DEEPLAB.NONLOCAL_ON", 1],
    "WC2M": [
        HEAD + "UV_CONFIDENCE.ENABLED", True, HEAD + "UV_CONFIDENCE.TYPE", "indep_aniso",
        HEAD + "SEGM_CONFIDENCE.ENABLED", True,
    ],
    "multitask": ["MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True],
    "fully convolutional": [HEAD + "FULLY_CONVOLUTIONAL", True],
    "coarse from masks": [HEAD + "COARSE_SEGM_TRAINED_BY_MASKS", True],
}  # fmt: skip


def batch_of(cfg, folder, dense):
    """The training inputs of two pictures, with or without dense pose."""
    json_file = make_dataset(folder, images=2, dense=dense)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.INPUT.RANDOM_FLIP = "none"
    cfg.DATASETS.TRAIN = ("densepose_coco_2014_train",)  # for its keypoints' names
    mapper = DensePoseDatasetMapper(cfg, True)
    return [mapper(r) for r in load_densepose_coco(str(json_file), str(folder), surface="none")]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dense", ["everybody", "one picture", "nobody"])
def test_a_training_step_reaches_every_parameter(variant, dense, tmp_path):
    cfg = tiny_config(*VARIANTS[variant])
    rule = {"everybody": None, "one picture": lambda n: n == 1, "nobody": lambda n: False}[dense]
    batch = batch_of(cfg, tmp_path, rule)
    torch.manual_seed(0)
    model = build_model(cfg).train()
    with EventStorage():
        losses = model(batch)
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []
    if variant != "coarse from masks":
        assert (losses["loss_densepose_S"] > 0) == (dense != "nobody")


def test_a_mapper_that_leaves_out_dense_pose_is_noticed(tmp_path, caplog):
    cfg = tiny_config()
    model = build_model(cfg).train()
    _warn_without_annotations.cache_clear()
    batch = batch_of(cfg, tmp_path, None)
    with EventStorage():
        model(batch)
        assert "gt_densepose" not in caplog.text
        for image in batch:
            image["instances"].remove("gt_densepose")
        model(batch)
        model(batch)
    assert caplog.text.count("have no gt_densepose, so dense pose is not trained") == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_inference_gives_maps_and_results_for_every_detection(variant):
    model = tiny_model(*VARIANTS[variant])
    with torch.no_grad():
        (output,) = model([picture()])
    instances = output["instances"]
    assert len(instances) > 0
    assert len(instances.pred_densepose) == len(instances)
    results = densepose_results(instances.pred_densepose, instances.pred_boxes.tensor)
    assert len(results) == len(instances)
    assert instances[0].pred_densepose.u.shape[0] == 1  # Instances index it as any field


def test_without_detections_dense_pose_is_empty():
    model = tiny_model("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 1.0)
    with torch.no_grad():
        outputs = model([picture(), picture(seed=1)])
    for output in outputs:
        assert len(output["instances"]) == 0
        assert len(output["instances"].pred_densepose) == 0


def test_maps_go_to_the_picture_they_are_of():
    """Two pictures at once give what each gives alone."""
    model = tiny_model()
    inputs = [picture(), picture(seed=1)]
    with torch.no_grad():
        together = model(inputs)
        alone = [model([one])[0] for one in inputs]
    for one, other in zip(together, alone):
        torch.testing.assert_close(
            one["instances"].pred_densepose.u, other["instances"].pred_densepose.u,
            rtol=1e-4, atol=1e-4,
        )  # fmt: skip


def test_dense_pose_can_be_off():
    model = tiny_model("MODEL.DENSEPOSE_ON", False)
    assert isinstance(model.roi_heads, DensePoseROIHeads)
    with torch.no_grad():
        (output,) = model([picture()])
    assert not output["instances"].has("pred_densepose")
    assert not any("densepose" in name for name in model.state_dict())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_changes_few_labels_and_no_box(precision):
    models = [tiny_model(HEAD + "INFERENCE_PRECISION", p) for p in ("fp32", precision)]
    boxes = torch.tensor([[10.0, 10, 100, 90], [3.3, 5.1, 40.9, 60.2]])
    instances = Instances((96, 128), pred_boxes=Boxes(boxes))
    instances.pred_classes = torch.zeros(2, dtype=torch.int64)
    results = []
    for model in models:
        with torch.no_grad():
            features = model.backbone(model.preprocess_image([picture()]).tensor)
            (found,) = model.roi_heads.forward_with_given_boxes(features, [instances[:]])
        assert found.pred_densepose.u.dtype == torch.float32
        results.append(densepose_results(found.pred_densepose, boxes))
    # Random weights leave many near ties; trained ones fewer.
    for exact, fast in zip(*results):
        assert (exact.labels == fast.labels).float().mean() > 0.95
        agree = exact.labels == fast.labels
        assert ((exact.uv - fast.uv).abs() * agree).max() < 0.1 * exact.uv.abs().max()


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match=r"INFERENCE_PRECISION = 'int8', expected 'fp32' or"):
        tiny_config(HEAD + "INFERENCE_PRECISION", "int8")


def test_a_fully_convolutional_head_sees_the_whole_image():
    model = tiny_model(HEAD + "FULLY_CONVOLUTIONAL", True)
    heads = model.roi_heads
    shapes = []
    heads.densepose_head.register_forward_hook(lambda _, args, out: shapes.append(args[0].shape))
    boxes = Boxes(torch.tensor([[10.0, 10, 100, 90], [40, 30, 60, 60]]))
    with torch.no_grad():
        features = model.backbone(model.preprocess_image([picture()]).tensor)
        heads._densepose_inference(features, [boxes])
        whole = heads.decoder(features)
    assert shapes == [whole.shape]


@pytest.mark.parametrize(
    "others", [[HEAD + "DECODER_ON", False], ["MODEL.DENSEPOSE_CASCADE.STAGES", 2]]
)
def test_a_fully_convolutional_head_needs_a_single_map_and_stage(others):
    with pytest.raises(ValueError, match="FULLY_CONVOLUTIONAL = True, expected False with"):
        tiny_config(HEAD + "FULLY_CONVOLUTIONAL", True, *others)


def test_coarse_parts_together_are_the_sum_of_their_probabilities():
    overrides = [*VARIANTS["legacy"], HEAD + "COARSE_PARTS_TOGETHER"]
    alone, together = (tiny_model(*overrides, value) for value in (False, True))
    one, other = (model([picture()])[0]["instances"].pred_densepose for model in (alone, together))
    person = one.coarse_segm.softmax(1)[:, 1:].sum(1)
    assert other.coarse_segm.shape[1] == 2
    torch.testing.assert_close(other.coarse_segm.softmax(1)[:, 1], person)
    assert torch.equal(one.fine_segm, other.fine_segm)
    # the person only grows
    best_alone = one.coarse_segm.argmax(1) > 0
    assert (other.coarse_segm.argmax(1)[best_alone] == 1).all()


def test_person_threshold_is_one_of_probability():
    plain, eager = (tiny_model(HEAD + "PERSON_THRESHOLD", value) for value in (0.5, 0.2))
    one, other = (model([picture()])[0]["instances"].pred_densepose for model in (plain, eager))
    person = one.coarse_segm.softmax(1)[:, 1]
    assert ((person > 0.2) & (person < 0.5)).any()
    sure = (person - 0.2).abs() > 1e-5
    assert torch.equal((other.coarse_segm.argmax(1) == 1)[sure], (person > 0.2)[sure])
    assert torch.equal(one.fine_segm, other.fine_segm)


def test_a_person_threshold_outside_of_0_to_1_is_refused():
    for value in (0.0, 1.0):
        with pytest.raises(
            ValueError, match=r"PERSON_THRESHOLD = \d\.0, expected a number between"
        ):
            tiny_model(HEAD + "PERSON_THRESHOLD", value)


def test_coarse_parts_together_take_part_in_training_one_by_one(tmp_path):
    cfg = tiny_config(*VARIANTS["legacy"], HEAD + "COARSE_PARTS_TOGETHER", True)
    batch = batch_of(cfg, tmp_path, None)
    losses = []
    for value in (True, False):
        model = tiny_model(*VARIANTS["legacy"], HEAD + "COARSE_PARTS_TOGETHER", value).train()
        torch.manual_seed(0)
        with EventStorage():
            losses.append(float(model(batch)["loss_densepose_S"]))
    assert losses[0] == losses[1] > 0


def boxes_of_a_head_that_moves_them(refinements, classes, agnostic):
    """The detections of one proposal by a box head that takes every box for the second class, whose
    boxes it moves right by a tenth of their width; others it moves down."""
    model = tiny_model(
        "MODEL.ROI_BOX_HEAD.REFINEMENTS", refinements,
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", agnostic,
        "MODEL.ROI_HEADS.NUM_CLASSES", classes,
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.5,
        "MODEL.DENSEPOSE_ON", False,
    )  # fmt: skip
    heads, size = model.roi_heads, (96, 128)
    predictor = heads.box_predictor
    wanted = min(1, classes - 1)
    with torch.no_grad():
        for layer in (predictor.cls_score, predictor.bbox_pred):
            layer.weight.zero_()
            layer.bias.zero_()
        predictor.cls_score.bias[wanted] = 9.0
        moves = predictor.bbox_pred.bias.view(-1, 4)
        x_weight, y_weight = predictor.box2box_transform.weights[:2]
        moves[:, 1] = 0.1 * y_weight
        moves[0 if agnostic else wanted] = torch.tensor([0.1 * x_weight, 0, 0, 0])
        proposal = Instances(size, proposal_boxes=Boxes(torch.tensor([[20.0, 30, 60, 50]])))
        features = model.backbone(torch.zeros(1, 3, *size))
        (found,) = heads._forward_box(features, [proposal])
    assert found.pred_classes.tolist() == [wanted]
    return found.pred_boxes.tensor


@pytest.mark.parametrize(("classes", "agnostic"), [(1, False), (3, False), (3, True)])
def test_boxes_are_refined_as_often_as_asked(classes, agnostic):
    for refinements in (0, 1, 3, 12):
        boxes = boxes_of_a_head_that_moves_them(refinements, classes, agnostic)
        right = min(4.0 * (refinements + 1), 128 - 40.0)
        expected = torch.tensor([[20 + right, 30, 60 + right, 50]])
        torch.testing.assert_close(boxes, expected, atol=1e-3, rtol=0)


def test_refinements_take_pictures_without_proposals_and_no_part_in_training(tmp_path):
    plain, refining = (tiny_model("MODEL.ROI_BOX_HEAD.REFINEMENTS", n) for n in (0, 1))
    nothing = Instances((96, 128), proposal_boxes=Boxes(torch.zeros(0, 4)))
    with torch.no_grad():
        features = refining.backbone(torch.zeros(1, 3, 96, 128))
        (found,) = refining.roi_heads._forward_box(features, [nothing])
    assert len(found) == 0
    losses = []
    for model in (plain, refining):
        batch = batch_of(tiny_config(), tmp_path, None)
        torch.manual_seed(0)
        with EventStorage():
            losses.append(float(model.train()(batch)["loss_box_reg"]))
    assert losses[0] == losses[1] > 0


def test_a_negative_number_of_refinements_is_refused():
    with pytest.raises(ValueError, match=r"REFINEMENTS = -1, expected 0 or more"):
        tiny_model("MODEL.ROI_BOX_HEAD.REFINEMENTS", -1)


def test_refined_boxes_stay_in_the_image():
    nan, inf = float("nan"), float("inf")
    boxes = torch.tensor([[-3.0, 2, 50, 90], [nan, 1, inf, 7], [5, -inf, 9, 9]])
    expected = torch.tensor([[0.0, 2, 40, 30], [0, 1, 40, 7], [5, 0, 9, 9]])
    assert torch.equal(clipped(boxes, (30, 40)), expected)
