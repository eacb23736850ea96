"""Files of annotations as labelling tools write them: what trains also scores, or neither does."""

import copy
import json
import logging

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import DensePoseTrainer, register_densepose_coco
from densepose_ext.data import build_densepose_train_loader
from projects_tests.tiny_dataset import make_dataset, make_surface
from projects_tests.tiny_model import tiny_config, tiny_model

NAME = "odd_annotations"
POINTS = ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Two pictures with two people each."""
    path = make_dataset(tmp_path_factory.mktemp("odd"), images=2, size=(96, 120))
    make_surface(path.parent / "surface", geodesics=True)
    return path


@pytest.fixture(scope="module")
def model():
    return tiny_model("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0, "TEST.DETECTIONS_PER_IMAGE", 3)


@pytest.fixture
def run(good, model, tmp_path, caplog):
    """Trains a batch and scores; returns people trained on, people scored and the results."""

    def run(content: dict | bytes, name: str = "odd.json"):
        caplog.set_level(logging.INFO)
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        register_densepose_coco(NAME, path, good.parent, surface=good.parent / "surface")
        cfg = tiny_config(
            "DATASETS.TRAIN", (NAME,), "DATASETS.TEST", (NAME,), "SOLVER.IMS_PER_BATCH", 2,
            "OUTPUT_DIR", str(tmp_path), "DATALOADER.NUM_WORKERS", 0, "SEED", 1,
            "INPUT.RANDOM_FLIP", "none",
        )  # fmt: skip
        batch = next(iter(build_densepose_train_loader(cfg)))
        trained = sum(len(image["instances"]) for image in batch)
        results = DensePoseTrainer.test(cfg, model)
        assert {"bbox", "densepose_gps", "densepose_gpsm", "densepose_segm"} <= set(results)
        written = json.loads((tmp_path / "inference" / "metrics.json").read_text())
        assert "parts" in written
        assert (tmp_path / "inference" / "report.html").is_file()
        assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
        return trained, written["parts"]["people"], results

    yield run
    for catalog in (DatasetCatalog, MetadataCatalog):
        if NAME in catalog.list():
            catalog.remove(NAME)


def changed(change):
    def make(content: dict) -> dict:
        change(content)
        return content

    return make


def each(**keys):
    """Every annotation with other values; a function gets the annotation."""

    def change(content: dict) -> None:
        for person in content["annotations"]:
            for key, value in keys.items():
                person[key] = value(person) if callable(value) else value

    return change


def first(**keys):
    return lambda content: content["annotations"][0].update(keys)


def without(*keys: str, of: str = "annotations"):
    def change(content: dict) -> None:
        for record in content[of]:
            for key in keys:
                record.pop(key, None)

    return change


CASES = {
    "as it should be": (lambda content: None, 4, 4, None),
    "no area": (without("area"), 4, 4, None),
}


@pytest.mark.parametrize("case", CASES)
def test_what_trains_also_scores(good, run, caplog, case):
    change, people, dense, message = CASES[case]
    content = copy.deepcopy(json.loads(good.read_text()))
    change(content)
    trained, scored, _ = run(content)
    assert (trained, scored) == (people, dense)
    left_out = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    assert message is None or any(message in text for text in left_out)
