"""The multi-task cascade: cross-talk between stages, and RoIs that train what they have."""

import copy

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from torch.nn.parallel import DistributedDataParallel

from densepose_ext import DensePoseDatasetMapper
from densepose_ext.data import load_densepose_coco
from densepose_ext.engine.launch import launch
from densepose_ext.modeling.build import build_model as build_whole_model
from projects_tests import tiny_run
from projects_tests.modeling.tiny_cascades import (
    ALL,
    CASCADE,
    LIGHT,
    VARIANTS,
    cascade,
    let_talk,
    on,
)
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_model import tiny_config, tiny_model

# Each builds models and trains or tests them.
pytestmark = pytest.mark.slow


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
