"""The multi-task cascade: cross-talk between stages, and RoIs that train what they have."""

import copy

import pytest
import torch
from detectron2.modeling import ROI_MASK_HEAD_REGISTRY, build_model
from detectron2.modeling.roi_heads.mask_head import BaseMaskRCNNHead
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from torch.nn.parallel import DistributedDataParallel

from densepose_ext import DensePoseDatasetMapper, densepose_results
from densepose_ext.data import load_densepose_coco
from densepose_ext.engine.launch import launch
from densepose_ext.modeling import DensePoseCascade, DensePoseRCNNWithTTA
from densepose_ext.modeling.build import build_model as build_whole_model
from projects_tests import tiny_run
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_model import picture, tiny_config, tiny_model

# Each builds models and trains or tests them.
pytestmark = pytest.mark.slow

HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
CASCADE = "MODEL.DENSEPOSE_CASCADE."
ALL = ["densepose", "mask", "keypoint"]
LIGHT = [
    "MODEL.ROI_MASK_HEAD.CONV_DIM", 32, "MODEL.ROI_MASK_HEAD.NUM_CONV", 1,
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", (32,),
    CASCADE + "NUM_STACKED_CONVS", 1, HEAD + "POOLER_RESOLUTION", 14, HEAD + "HEATMAP_SIZE", 56,
    "INPUT.MIN_SIZE_TRAIN", (96,), "INPUT.MIN_SIZE_TEST", 96,
]  # fmt: skip
VARIANTS = {
    "DL": [HEAD + "NAME", "DensePoseDeepLabHead"],
    "WC1": [HEAD + "UV_CONFIDENCE.ENABLED", True],
    "WC2M": [
        HEAD + "UV_CONFIDENCE.ENABLED", True, HEAD + "UV_CONFIDENCE.TYPE", "indep_aniso",
        HEAD + "SEGM_CONFIDENCE.ENABLED", True,
    ],
    "without decoder": [
        HEAD + "NUM_COARSE_SEGM_CHANNELS", 15, HEAD + "DECODER_ON", False,
        HEAD + "FINE_FROM_COARSE", True,
    ],
    "light": [
        "MODEL.BACKBONE.NAME", "build_timm_fpn_backbone", "MODEL.TIMM.WEIGHTS", "",
        "MODEL.TIMM.NORM", "BN",
    ],
    "three stages": [CASCADE + "STAGES", 3],
}  # fmt: skip


@ROI_MASK_HEAD_REGISTRY.register()
class HeadOfUnknownLayers(BaseMaskRCNNHead):
    """A mask head whose features cannot be intercepted."""


def on(tasks) -> list:
    return ["MODEL.MASK_ON", "mask" in tasks, "MODEL.KEYPOINT_ON", "keypoint" in tasks]


def cascade(tasks, *overrides) -> list:
    """Overrides of the tiny config."""
    return [*LIGHT, *on(tasks), CASCADE + "STAGES", 2, CASCADE + "TASKS", tasks, *overrides]


def training_batch(cfg, folder, change=None, seed=0):
    """Two pictures; ``change(person, number of its picture)`` edits annotations."""
    json_file = make_dataset(folder, images=2, seed=seed)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.INPUT.RANDOM_FLIP = "none"
    cfg.DATASETS.TRAIN = ("densepose_coco_2014_train",)  # for its keypoints' names
    records = load_densepose_coco(str(json_file), str(folder), surface="none")
    for number, record in enumerate(records):
        for person in record["annotations"]:
            if change is not None:
                change(person, number)
    mapper = DensePoseDatasetMapper(cfg, True)
    return [mapper(record) for record in records]


def losses_of(model, batch, seed=0):
    torch.manual_seed(seed)  # for the sampling of RoIs
    with EventStorage():
        return model.train()(batch)


def let_talk(model) -> None:
    """As after some training: until then the projections are zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".talk" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.05)


def without(*keys):
    def change(person, number):
        for key in [key for key in person if key.startswith(keys)]:
            del person[key]

    return change


def only_in_first(*keys):
    def change(person, number):
        if number > 0:
            without(*keys)(person, number)

    return change


CHANGES = {
    "all": None,
    "some without points": only_in_first("dp_"),
    "nobody with points": without("dp_"),
    "nobody with keypoints": without("keypoints"),
    "nobody with anything": without("dp_", "keypoints", "segmentation"),
}


@pytest.mark.parametrize(
    ("tasks", "variant", "people"),
    [
        (ALL, None, "all"),
        (ALL, None, "nobody with anything"),
        (["densepose"], None, "nobody with points"),
        (["densepose", "mask"], None, "some without points"),
        (["keypoint", "densepose"], "light", "nobody with keypoints"),
        (ALL, "DL", "nobody with points"),
        (["densepose"], "WC1", "all"),
        (ALL, "WC2M", "all"),
        (["densepose"], "without decoder", "all"),
        (["densepose", "mask"], "three stages", "nobody with points"),
    ],
)
def test_a_training_step_reaches_every_parameter(tasks, variant, people, tmp_path):
    cfg = tiny_config(*cascade(tasks, *VARIANTS.get(variant, [])))
    batch = training_batch(cfg, tmp_path, CHANGES[people])
    model = build_model(cfg)
    losses = losses_of(model, batch)
    sum(losses.values()).backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []
    assert all(torch.isfinite(value) for value in losses.values())
    stages = {name.rpartition("_")[2] for name in losses if "stage" in name}
    assert stages == {f"stage{n + 1}" for n in range(cfg.MODEL.DENSEPOSE_CASCADE.STAGES)}
    for stage in stages:
        learns = "nobody" not in people
        assert (losses[f"loss_densepose_I_{stage}"] > 0) == (learns or "keypoints" in people)
        if "mask" in tasks:
            assert (losses[f"loss_mask_{stage}"] > 0) == (people != "nobody with anything")
        if "keypoint" in tasks:
            has_keypoints = people not in ("nobody with keypoints", "nobody with anything")
            assert (losses[f"loss_keypoint_{stage}"] > 0) == has_keypoints


@pytest.mark.parametrize("tasks", [["densepose"], ["densepose", "keypoint"], ALL])
def test_the_first_stage_is_the_model_without_a_cascade(tasks, tmp_path):
    """Its losses, too: a RoI trains what it has, whichever RoIs it shares the cascade with."""
    cfg = tiny_config(*cascade(tasks))
    batch = training_batch(cfg, tmp_path, only_in_first("dp_"))
    plain = tiny_model(*LIGHT, *on(tasks))
    model = build_model(cfg)
    loaded = model.load_state_dict(plain.state_dict(), strict=False)
    assert loaded.unexpected_keys == []
    assert {name.split(".")[1] for name in loaded.missing_keys} == {"cascade"}
    expected = losses_of(plain, copy.deepcopy(batch))
    found = losses_of(model, batch)
    for name, loss in expected.items():
        is_staged = name.split("_")[1] in tasks
        torch.testing.assert_close(found[f"{name}_stage1" if is_staged else name], loss)


def test_loss_weights_scale_the_losses_of_their_stage(tmp_path):
    plain, weighted = (
        tiny_model(*cascade(["densepose"], CASCADE + "LOSS_WEIGHTS", weights))
        for weights in ([], [0.5, 3.0])
    )
    batch = training_batch(tiny_config(*cascade(["densepose"])), tmp_path)
    one, other = losses_of(plain, copy.deepcopy(batch)), losses_of(weighted, batch)
    for name, loss in one.items():
        factor = {"1": 0.5, "2": 3.0}[name[-1]] if "stage" in name else 1.0
        torch.testing.assert_close(other[name], loss * factor)


def gradient_of_keypoints(batch, *overrides) -> float:
    """Gradients of the first stage's keypoints from the second stage's dense pose."""
    model = tiny_model(
        *cascade(["densepose", "keypoint"], "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 4, *overrides)
    )
    let_talk(model)
    losses_of(model, batch)["loss_densepose_I_stage2"].backward()
    weight = model.roi_heads.keypoint_head.score_lowres.weight
    return 0.0 if weight.grad is None else float(weight.grad.abs().sum())


def test_gradients_flow_between_branches_unless_stopped(tmp_path):
    batch = training_batch(tiny_config(*cascade(["densepose", "keypoint"])), tmp_path)
    assert gradient_of_keypoints(batch) > 0
    assert gradient_of_keypoints(batch, CASCADE + "STOP_GRADIENTS", True) == 0
    assert gradient_of_keypoints(batch, CASCADE + "CROSS_TALK", []) == 0
    only = [CASCADE + "CROSS_TALK", ["keypoint>densepose"], CASCADE + "TALK_FEATURES", False]
    assert gradient_of_keypoints(batch, *only) > 0


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


def _train_one_of_two(folder, data):
    """A process with points and keypoints, or one without: both end with the same weights."""
    cfg = tiny_config(*cascade(ALL, "SOLVER.BASE_LR", 0.01))
    change = None if comm.get_rank() == 0 else without("dp_", "keypoints")
    batch = training_batch(cfg, data / str(comm.get_rank()), change, seed=comm.get_rank())
    model = DistributedDataParallel(build_model(cfg), broadcast_buffers=False)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        sum(losses_of(model, copy.deepcopy(batch), seed=comm.get_rank()).values()).backward()
        optimizer.step()
    torch.save(model.module.roi_heads.state_dict(), folder / f"{comm.get_rank()}.pth")


def test_two_processes_stay_in_step_when_one_lacks_a_task(tmp_path):
    launch(_train_one_of_two, 2, args=(tmp_path, tmp_path))
    one, other = (torch.load(tmp_path / f"{rank}.pth") for rank in range(2))
    assert any("stage2" in name for name in one)
    tiny_run.assert_same_weights(one, other)


def test_a_resumed_run_ends_like_one_that_was_not_stopped(tmp_path):
    tiny_run.register(make_dataset(tmp_path / "data"))
    overrides = cascade(
        ["densepose", "mask"], "SOLVER.MAX_ITER", 2, "SOLVER.CHECKPOINT_PERIOD", 1,
        "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 4,
    )  # fmt: skip
    whole, stopped = (tiny_run.config(tmp_path / name, *overrides) for name in ("whole", "stopped"))

    def stop(trainer):
        if trainer.iter == 1:
            raise InterruptedError("as the power may fail")

    try:
        tiny_run.train(whole)
        with pytest.raises(InterruptedError):
            tiny_run.train(stopped, before_step=stop)
        tiny_run.train(stopped, resume=True)
    finally:
        tiny_run.unregister()
    one, other = (
        tiny_run.weights(tmp_path / name / "model_final.pth") for name in ("whole", "stopped")
    )
    tiny_run.assert_same_weights(one, other)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([CASCADE + "STAGES", 0], r"DENSEPOSE_CASCADE\.STAGES = 0, expected 1 \(no cascade\)"),
        ([CASCADE + "TASKS", ["densepose", "hands"]], r"TASKS names 'hands', expected some of"),
        ([CASCADE + "TASKS", ["mask"]], r"TASKS = \['mask'\], expected 'densepose' among them"),
        (["MODEL.KEYPOINT_ON", False], r"TASKS names 'keypoint', but MODEL.KEYPOINT_ON = False"),
        (["MODEL.DENSEPOSE_ON", False], r"TASKS names 'densepose', but MODEL.DENSEPOSE_ON = Fal"),
        ([CASCADE + "CROSS_TALK", ["mask-densepose"]], r"CROSS_TALK has 'mask-densepose', expect"),
        (
            [CASCADE + "TASKS", ["densepose", "mask"], CASCADE + "CROSS_TALK", ["keypoint>mask"]],
            r"CROSS_TALK has 'keypoint>mask', but 'keypoint' is not in .*TASKS = \['dense",
        ),
        ([CASCADE + "LOSS_WEIGHTS", [1.0]], r"LOSS_WEIGHTS = \[1.0\], expected .* the 2 stages"),
        (
            ["MODEL.ROI_MASK_HEAD.NAME", "HeadOfUnknownLayers"],
            r"ROI_MASK_HEAD\.NAME = 'HeadOfUnknownLayers' cannot be in a cascade",
        ),
    ],
)
def test_settings_that_make_no_cascade_are_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(*cascade(ALL, *overrides))


def test_a_cascade_built_by_hand_names_what_is_wrong():
    stage = tiny_model(*cascade(["densepose"])).roi_heads.cascade.last
    for roi_channels, more, message in [
        ({"densepose": 32, "hands": 32}, {}, "a cascade of 'hands', expected some of densepose"),
        ({"mask": 32}, {}, "without 'densepose'"),
        ({"densepose": 32, "mask": 32}, {}, "of 'mask' with a stage that has no mask_head"),
        (
            {"densepose": 32},
            {"cross_talk": {"densepose": ["mask"]}},
            "cross-talk from 'mask'",
        ),
        ({"densepose": 32}, {"loss_weights": [1]}, "1 loss weights .* each of its 2 stages"),
    ]:
        with pytest.raises(ValueError, match=message):
            DensePoseCascade([stage], roi_channels, **more)


def test_keypoints_train_with_the_channels_last():
    """Detectron2's loss views heatmaps, which then have to lie channel by channel."""
    torch.manual_seed(0)
    model = build_whole_model(tiny_config("MODEL.KEYPOINT_ON", True, "MODEL.CHANNELS_LAST", True))
    heads = [model.roi_heads.keypoint_head]
    model = build_whole_model(
        tiny_config(*cascade(["densepose", "keypoint"], "MODEL.CHANNELS_LAST", True))
    )
    heads += [model.roi_heads.keypoint_head, model.roi_heads.cascade.last.keypoint_head]
    for head in heads:
        channels = next(head.parameters()).shape[1]
        rois = torch.randn(2, channels, 14, 14).contiguous(memory_format=torch.channels_last)
        assert head.layers(rois).is_contiguous()
