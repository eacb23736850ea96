"""The demo's training and evaluation in several processes."""

import json
import math
import os

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm

from densepose_ext import register_synthetic
from densepose_ext.demo.processes import in_processes, number_of_processes
from densepose_ext.demo.scoring import is_scored, read_scores, score
from densepose_ext.demo.training import train, trained_weights
from densepose_ext.files.cache import content_key
from densepose_ext.prediction.predictor import DensePosePredictor
from densepose_ext.synthetic.settings import Settings
from projects_tests.tiny_model import tiny_config

SETS = {"trained_by_two": "train", "scored_by_two": "val"}


@pytest.mark.parametrize(
    ("images", "cores", "expected"),
    [(8, 1, 1), (8, 2, 2), (8, 3, 2), (8, 4, 4), (8, 64, 4), (6, 4, 3), (2, 8, 1), (1, 2, 1)],
)
def test_processes_that_share_a_step(images, cores, expected):
    assert number_of_processes(images, cores) == expected


@pytest.fixture
def people(tmp_path):
    for name, split in SETS.items():
        register_synthetic(name, split, 4, Settings(size=96), tmp_path / name, workers=1)
    yield
    for name in SETS:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def _train_and_score(cfg, folder):
    # A dataset that each process registers itself is also replaced by the one passed to it.
    assert DatasetCatalog.get("densepose_synth_val") == []
    (folder / f"{comm.get_rank()} of {comm.get_world_size()}").mkdir(parents=True)
    train(cfg)
    comm.synchronize()
    predictor = DensePosePredictor(cfg, trained_weights(cfg), "cpu")
    score("tiny", predictor, "scored_by_two", folder / "two")


@pytest.mark.slow
def test_two_processes_train_and_score_what_this_one_has_registered(people, two_threads, tmp_path):
    cfg = tiny_config(
        "DATASETS.TRAIN", ("trained_by_two",), "DATASETS.TEST", ("scored_by_two",),
        "OUTPUT_DIR", str(tmp_path / "out"), "SOLVER.MAX_ITER", 2, "SOLVER.IMS_PER_BATCH", 4,
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0, "TEST.DETECTIONS_PER_IMAGE", 2, "SEED", 1,
    )  # fmt: skip
    folder = tmp_path / "scores"
    images = {name: DatasetCatalog.get(name) for name in SETS} | {"densepose_synth_val": []}
    environment = dict(os.environ)
    in_processes(_train_and_score, cfg, images, folder)
    assert dict(os.environ) == environment
    assert {path.name for path in folder.iterdir()} == {"0 of 2", "1 of 2", "two"}
    weights = trained_weights(cfg)
    assert torch.load(weights, weights_only=True)["iteration"] == 1
    lines = [json.loads(s) for s in (tmp_path / "out" / "metrics.json").read_text().splitlines()]
    assert lines[-1]["iteration"] == 1

    # One process finds the same.
    score("tiny", DensePosePredictor(cfg, weights, "cpu"), "scored_by_two", folder / "one")
    one, two = (read_scores(folder / name) for name in ("one", "two"))
    assert two["densepose"]["images"] == 4
    assert two["milliseconds"] > 0
    for ours, expected in (
        (two["box"], one["box"]),
        (two["densepose"]["gps"], one["densepose"]["gps"]),
    ):
        assert ours.keys() == expected.keys()
        for key, value in expected.items():
            assert math.isclose(ours[key], value, abs_tol=1e-6) or math.isnan(value)
    assert two["densepose"]["parts"] == one["densepose"]["parts"]


def test_scores_are_those_of_certain_weights(tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"one")
    assert not is_scored(weights, tmp_path)
    (tmp_path / "box.json").write_text('{"weights": "of others"}')
    assert not is_scored(weights, tmp_path)
    (tmp_path / "box.json").write_text(json.dumps({"weights": content_key(weights)}))
    assert is_scored(weights, tmp_path)
