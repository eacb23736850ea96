"""A real photograph, used for training with synthetic people, and given to the shipped model."""

import json
import os
import runpy
from pathlib import Path

import cv2
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import (
    DensePoseEvaluator,
    DensePosePredictor,
    DensePoseTrainer,
    register_densepose_coco,
    register_synthetic,
)
from densepose_ext.synthetic.settings import Settings
from projects_tests.reference import ROOT
from projects_tests.tiny_model import tiny_config

REAL = Path(os.environ.get("DENSEPOSE_EXT_REAL", ROOT.parent / "shared" / "real"))

#: Shares of the pixels on bodies that the shipped model finds, and gives the right part of 24.
FOUND, RIGHT = 0.85, 0.6

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"there is no {REAL}")


@pytest.fixture
def street():
    name = "street_photograph"
    register_densepose_coco(name, str(REAL / "densepose_demo_im.json"), str(REAL), surface=REAL)
    yield name
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


@pytest.fixture
def synthetic(tmp_path):
    name = "synthetic_beside_street"
    register_synthetic(name, "train", 2, Settings(size=128), tmp_path / "people", workers=1)
    yield name
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


def test_trained_together_with_synthetic_people_and_scored(street, synthetic, tmp_path, caplog):
    cfg = tiny_config(
        *("DATASETS.TRAIN", (street, synthetic), "DATASETS.TEST", (street,)),
        *("SOLVER.MAX_ITER", 3, "SOLVER.IMS_PER_BATCH", 3, "OUTPUT_DIR", str(tmp_path / "out")),
    )
    trainer = DensePoseTrainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    # the folder has charts, but no distances: parts and masks are scored, and the log says why
    assert "GPS is not scored" in caplog.text or "densepose_gps" not in trainer._last_eval_results
    assert "densepose_segm" in trainer._last_eval_results
    metrics = json.loads((tmp_path / "out" / "inference" / "metrics.json").read_text())
    assert metrics["parts"]["people"] == 5
    assert "right_part" in metrics["parts"]


def test_gps_names_the_file_it_lacks(street):
    with pytest.raises(FileNotFoundError, match=r"SMPL_subdiv\.mat|Pdist_matrix\.pkl"):
        DensePoseEvaluator(street, gps=True)


def test_shipped_model_finds_people_in_the_street():
    picture = cv2.imread(str(REAL / "demo_im.jpg"))
    true = cv2.imread(str(REAL / "demo_im_IUV.png"))[:, :, 0]
    shares = runpy.run_path(str(ROOT / "tools/score_photograph.py"))["shares"]
    found = shares(DensePosePredictor(device="cpu"), picture, true)
    assert found["found"] >= FOUND, found
    assert found["right"] >= RIGHT, found
    assert found["beside"] < 1, found
    with pytest.raises(ValueError, match="expected the same size"):
        shares(None, picture, true[1:])
