"""The demonstration's training in several processes."""

import functools
import json

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import register_synthetic
from densepose_ext.demo.training import number_of_processes, train
from densepose_ext.synthetic.dataset import Settings
from projects_tests.tiny_model import tiny_config

NAME = "trained_by_two"


@pytest.mark.parametrize(
    ("images", "cores", "expected"),
    [(8, 1, 1), (8, 2, 2), (8, 3, 2), (8, 4, 4), (8, 64, 4), (6, 4, 3), (2, 8, 1), (1, 2, 1)],
)
def test_processes_that_share_a_step(images, cores, expected):
    assert number_of_processes(images, cores) == expected


@pytest.fixture
def people(tmp_path):
    register_synthetic(NAME, "train", 4, Settings(size=96), tmp_path / NAME, workers=1)
    yield
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def test_two_processes_train_on_what_this_one_has_registered(people, tmp_path):
    before = torch.get_num_threads()
    cfg = tiny_config(
        "DATASETS.TRAIN", (NAME,), "DATASETS.TEST", (), "OUTPUT_DIR", str(tmp_path / "out"),
        "SOLVER.MAX_ITER", 2, "SOLVER.IMS_PER_BATCH", 4, "SEED", 1,
    )  # fmt: skip
    log = tmp_path / "started"
    torch.set_num_threads(2)
    try:
        weights = train(cfg, functools.partial(log.mkdir, exist_ok=True))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert log.exists()
    assert torch.load(weights, weights_only=True)["iteration"] == 1
    lines = [json.loads(s) for s in (tmp_path / "out" / "metrics.json").read_text().splitlines()]
    assert lines[-1]["iteration"] == 1
    # Finished: nothing is trained again.
    log.rmdir()
    assert train(cfg, functools.partial(log.mkdir, exist_ok=True)) == weights
    assert not log.exists()
