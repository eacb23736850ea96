"""Training on a mix of labelled pictures and pictures that a frozen model labels."""

import logging
import multiprocessing
import os
import re
import signal

import cv2
import numpy as np
import pytest
import torch
from detectron2.utils import comm

from densepose_ext.bootstrapping.labelling import ORDERS
from densepose_ext.config.bootstrapping import CHART_SAMPLERS, EMBEDDING_SAMPLERS
from densepose_ext.engine.trainer import build_train_loader
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_model import tiny_model
from projects_tests.tiny_run import (
    NAME,
    assert_same_weights,
    config,
    register,
    train,
    unregister,
    weights,
)

pytestmark = pytest.mark.slow


def write_teacher(path) -> None:
    """The tiny model with random weights, which labels everything as part 2 of a person."""
    model = tiny_model()
    with torch.no_grad():
        predictor = model.roi_heads.densepose_predictor
        predictor.ann_index_lowres.bias[1] = 50
        predictor.index_uv_lowres.bias[2] = 50
        model.roi_heads.box_predictor.cls_score.bias[0] = 5
    torch.save({"model": model.state_dict()}, path)


def write_unlabelled(folder) -> None:
    """Four pictures of noise, and a file that is not a picture."""
    folder.mkdir()
    for n in range(4):
        noise = np.random.default_rng(n).integers(0, 256, (100, 120 + n, 3), np.uint8)
        cv2.imwrite(str(folder / f"{n}.png"), noise)
    (folder / "4.png").write_bytes(b"no picture")


def entry(folder, **more) -> dict:
    return {
        "DATASET": str(folder),
        "RATIO": 1.0,
        "IMAGE_LOADER": {"NUM_WORKERS": 0, "TRANSFORM": {"MIN_SIZE": 64, "MAX_SIZE": 128}},
        "DATA_SAMPLER": {"TYPE": "densepose_uniform", "COUNT_PER_CLASS": 5},
        "FILTER": {"MIN_VALUE": 0.5},
        **more,
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with labelled pictures (registered), unlabelled ones, and a teacher."""
    folder = tmp_path_factory.mktemp("bootstrapping")
    register(make_dataset(folder / "labelled"))
    write_unlabelled(folder / "unlabelled")
    write_teacher(folder / "teacher.pth")
    yield folder
    unregister()


def bootstrapped(place, out, *overrides, **more):
    return config(
        out,
        "BOOTSTRAP_DATASETS", [entry(place / "unlabelled", **more)],
        "BOOTSTRAP_MODEL.WEIGHTS", str(place / "teacher.pth"), "BOOTSTRAP_MODEL.DEVICE", "cpu",
        "SOLVER.IMS_PER_BATCH", 2, "SOLVER.MAX_ITER", 4,
        *overrides,
    )  # fmt: skip


def test_batches_are_mixed_and_what_the_model_found_is_their_truth(place, tmp_path):
    loader = build_train_loader(bootstrapped(place, tmp_path))
    batches = [batch for batch, _ in zip(loader, range(4))]
    assert [len(batch) for batch in batches] == [2] * 4
    new = [d for batch in batches for d in batch if "unlabelled" in d["file_name"]]
    assert len(new) == 4
    assert len({d["file_name"] for d in new}) > 1
    for image in new:
        people = image["instances"]
        assert image["image"].shape[1:] == people.image_size
        assert people.gt_densepose.present.all()
        for annotation in people.gt_densepose:
            assert len(annotation.i) == 5
            assert set(annotation.i.tolist()) <= {1, 2}  # the trunk: 2, or 1 in a mirror image
            assert (annotation.segm == 1).all()


def test_batches_depend_on_the_seed_and_the_iteration_alone(place, tmp_path):
    cfg = bootstrapped(place, tmp_path)
    whole = [batch for batch, _ in zip(build_train_loader(cfg), range(4))]
    resumed = build_train_loader(cfg)
    resumed.batch_sampler.first_iteration = 2
    for one, other in zip(whole[2:], resumed):
        for image, again in zip(one, other, strict=True):
            assert image["file_name"] == again["file_name"]
            assert torch.equal(image["image"], again["image"])
            mine, theirs = image["instances"], again["instances"]
            assert torch.equal(mine.gt_boxes.tensor, theirs.gt_boxes.tensor)
            assert torch.equal(mine.gt_densepose.x, theirs.gt_densepose.x)


def test_two_processes_share_the_batches_of_one(place, tmp_path, monkeypatch):
    cfg = bootstrapped(place, tmp_path, "SOLVER.IMS_PER_BATCH", 4)

    def batches():
        return [batch for batch, _ in zip(build_train_loader(cfg), range(3))]

    def pictures(batch):
        return {image["file_name"]: image["image"] for image in batch}

    whole, shares = batches(), []
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        shares.append(batches())
    for one, *both in zip(whole, *shares):
        assert [len(share) for share in both] == [2, 2]
        found, expected = pictures(both[0] + both[1]), pictures(one)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in found)


def test_ctrl_c_does_not_end_the_workers_that_read_unlabelled_pictures(place, tmp_path):
    reader = {"NUM_WORKERS": 1, "TRANSFORM": {"MIN_SIZE": 64, "MAX_SIZE": 128}}
    loader = build_train_loader(bootstrapped(place, tmp_path, IMAGE_LOADER=reader))
    batches = iter(loader)
    next(batches)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGINT)
    assert [len(next(batches)) for _ in range(6)] == [2] * 6  # more than it had read ahead


def test_every_sampler_of_the_config_has_an_order():
    assert ORDERS.keys() == CHART_SAMPLERS.keys() | EMBEDDING_SAMPLERS.keys()


def test_a_resumed_run_ends_with_the_same_weights(place, tmp_path, caplog, monkeypatch):
    # A trainer sets up logging anew, past what caplog listens to.
    logger = logging.getLogger("detectron2.densepose_ext.bootstrapping.loader")
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    caplog.set_level(logging.INFO, logger.name)
    train(bootstrapped(place, tmp_path / "whole"))
    assert re.search(r"bootstrapping from .*unlabelled: 5 images, 50\.0% of each", caplog.text)
    assert re.search(r"in the last 1 batch \d images? labelled", caplog.text)
    cfg = bootstrapped(place, tmp_path / "resumed")

    def stop(trainer):
        if trainer.iter == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cfg, after_step=stop)
    train(cfg, resume=True)
    assert_same_weights(
        *(weights(tmp_path / name / "model_final.pth") for name in ("whole", "resumed"))
    )


def test_places_go_to_labelled_pictures_where_nobody_is_found(place, tmp_path):
    cfg = bootstrapped(place, tmp_path, FILTER={"MIN_VALUE": 1.0})
    batches = [batch for batch, _ in zip(build_train_loader(cfg), range(2))]
    assert [len(batch) for batch in batches] == [2, 2]
    assert not [d for batch in batches for d in batch if "unlabelled" in d["file_name"]]


def test_detections_take_the_classes_of_the_annotations(place, tmp_path):
    """People are detected where they are annotated, or not at all."""
    more = {"DATASET": NAME}
    more["DATA_SAMPLER"] = {"TYPE": "densepose_uniform", "USE_GROUND_TRUTH_CATEGORIES": True}
    loader = build_train_loader(bootstrapped(place, tmp_path, **more))
    batches = [batch for batch, _ in zip(loader, range(3))]
    new = [d for batch in batches for d in batch if str(d["image_id"]).startswith(f"{NAME}/")]
    assert new
    assert {c for d in new for c in d["instances"].gt_classes.tolist()} == {0}


def test_pseudo_labels_have_masks_if_masks_train(place, tmp_path):
    key = "MODEL.ROI_DENSEPOSE_HEAD.COARSE_SEGM_TRAINED_BY_MASKS"
    loader = build_train_loader(bootstrapped(place, tmp_path, key, True))
    new = [d for b, _ in zip(loader, range(3)) for d in b if "unlabelled" in d["file_name"]]
    assert new
    for image in new:
        masks = image["instances"].gt_masks
        boxes = image["instances"].gt_boxes.area()
        np.testing.assert_allclose(masks.tensor.sum((1, 2)), boxes, rtol=0.2, atol=60)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["BOOTSTRAP_MODEL.WEIGHTS", "/no/teacher.pth"], FileNotFoundError, "/no/teacher.pth"),
        (["BOOTSTRAP_MODEL.DEVICE", "cuda"], ValueError, "BOOTSTRAP_MODEL.DEVICE = 'cuda'"),
        (["DATASETS.WHITELISTED_CATEGORIES", {NAME: [7]}], ValueError, r"keep \[7\]"),
    ],
)
def test_what_is_missing_stops_before_training(place, tmp_path, overrides, error, message):
    if torch.cuda.is_available() and "cuda" in overrides:
        pytest.skip("there is a GPU")
    if "WHITELISTED" in overrides[0]:
        overrides = [f"{overrides[0]}.{NAME}", [7]]
    cfg = bootstrapped(place, tmp_path)
    cfg.defrost()
    if "WHITELISTED" in overrides[0]:
        cfg.DATASETS.WHITELISTED_CATEGORIES[NAME] = [7]
    else:
        cfg.merge_from_list(overrides)
    with pytest.raises(error, match=message):
        build_train_loader(cfg)
