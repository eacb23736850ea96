"""Odd annotation files: what can be trained on can be scored, or else the run stops early."""

import json
import logging

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import DensePoseTrainer, register_densepose_coco
from densepose_ext.data import build_densepose_train_loader
from densepose_ext.evaluation import page, publish
from projects_tests.tiny_dataset import make_dataset, make_surface
from projects_tests.tiny_model import tiny_config, tiny_model

NAME = "odd_annotations"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Two pictures with two people each."""
    path = make_dataset(tmp_path_factory.mktemp("odd"), images=2, size=(96, 120))
    make_surface(path.parent / "surface", geodesics=True)
    return path


@pytest.fixture(scope="module")
def model():
    return tiny_model(
        *("MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True),
        *("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0, "TEST.DETECTIONS_PER_IMAGE", 3),
    )


@pytest.fixture
def config(good, tmp_path):
    """Registers a changed file, and returns a config that trains and tests on it."""

    def config(change=lambda content: None):
        content = json.loads(good.read_text())
        change(content)
        path = tmp_path / "odd.json"
        path.write_text(json.dumps(content))
        register_densepose_coco(NAME, path, good.parent, surface=good.parent / "surface")
        return tiny_config(
            "DATASETS.TRAIN", (NAME,), "DATASETS.TEST", (NAME,), "SOLVER.IMS_PER_BATCH", 2,
            "OUTPUT_DIR", str(tmp_path), "DATALOADER.NUM_WORKERS", 0, "SEED", 1,
            "MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True,
        )  # fmt: skip

    yield config
    for catalog in (DatasetCatalog, MetadataCatalog):
        if NAME in catalog.list():
            catalog.remove(NAME)


def each(**keys):
    """Every annotation with other values; a function gets the annotation."""

    def change(content: dict) -> None:
        for person in content["annotations"]:
            for key, value in keys.items():
                person[key] = value(person) if callable(value) else value

    return change


def first(**keys):
    return lambda content: content["annotations"][0].update(keys)


def without(*keys: str):
    def change(content: dict) -> None:
        for person in content["annotations"]:
            for key in keys:
                del person[key]

    return change


def many_points(content: dict) -> None:
    person = content["annotations"][0]
    for key in ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V"):
        person[key] = (person[key] * 150)[:3000]


# change, people who are scored
CASES = {
    "as it should be": (lambda content: None, 4),
    "no area, iscrowd, id": (without("area", "iscrowd", "id"), 4),
    "nulls": (each(area=None, iscrowd=None, num_keypoints=None), 4),
    "a negative box": (first(bbox=[10, 10, -5, 20]), 3),
    "an unknown image": (first(image_id=999999), 3),
    "a tiny box": (first(bbox=[10.2, 10.2, 0.3, 0.3], segmentation=[]), 4),
    "boxes far beyond": (each(bbox=[-100, -100, 5000, 5000]), 4),
    "strings": (each(bbox=lambda p: [*map(str, p["bbox"])]), 4),
    "3000 points": (many_points, 4),
}


@pytest.mark.parametrize("case", CASES)
def test_what_trains_also_scores(config, model, tmp_path, monkeypatch, caplog, case):
    monkeypatch.setattr(page, "write_report", lambda report, truth, path: None)
    change, people = CASES[case]
    cfg = config(change)
    batch = next(iter(build_densepose_train_loader(cfg)))
    assert any(len(image["instances"]) for image in batch)
    results = DensePoseTrainer.test(cfg, model)
    assert set(results) == {
        *("bbox", "segm", "keypoints", "densepose_gps", "densepose_gpsm", "densepose_segm")
    }
    written = json.loads((tmp_path / "inference" / "metrics.json").read_text())
    assert written["parts"]["people"] == people
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_masks_and_keypoints_are_scored_where_there_are_any(config, model, tmp_path):
    """With the report, which shows a picture of a box of a third of a pixel."""

    def change(content: dict) -> None:
        CASES["a tiny box"][0](content)
        without("segmentation", "keypoints")(content)

    results = DensePoseTrainer.test(config(change), model)
    assert "bbox" in results
    assert not {"segm", "keypoints"} & set(results)
    page = (tmp_path / "inference" / "report.html").read_text()
    assert page.count("data:image/jpeg") >= 1


def test_a_report_that_fails_takes_no_scores_along(config, model, tmp_path, monkeypatch, caplog):
    def fail(*arguments):
        raise RuntimeError("no room for tables")

    monkeypatch.setattr(publish.Report, "of", fail)
    results = DensePoseTrainer.test(config(), model)
    assert results["densepose_gps"]["AP"] >= 0
    written = json.loads((tmp_path / "inference" / "metrics.json").read_text())
    assert written["gps"]["AP"] * 100 == pytest.approx(results["densepose_gps"]["AP"])
    assert "RuntimeError: no room for tables" in caplog.text


def test_a_folder_that_cannot_be_written_takes_no_scores_along(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with publish.scores_survive("cannot write there"):
        (tmp_path / "file" / "metrics.json").write_text("")
    assert f"cannot write there: {tmp_path}/file/metrics.json: Not a directory" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (each(dp_x=None, dp_I=None, dp_y=None, dp_U=None, dp_V=None), "has usable dense pose"),
        (lambda content: content["images"][0].pop("id"), r"images\[0\] has no 'id'"),
        (
            lambda content: content["images"][1].update(height=50),
            r"\(120, 96\) pixels .* say \(120, 50\)",
        ),
        (
            lambda content: content["images"][1].update(file_name="no.jpg"),
            r"no\.jpg does not exist",
        ),
        (
            lambda content: content["images"][1].update(file_name="half.jpg"),
            r"half\.jpg cannot be read",
        ),
    ],
)
def test_a_test_set_that_cannot_be_scored_stops_before_training(config, good, change, message):
    whole = (good.parent / "1.jpg").read_bytes()
    (good.parent / "half.jpg").write_bytes(whole[: len(whole) // 2])
    cfg = config(change)
    cfg.defrost()
    cfg.DATASETS.TRAIN = ("odd_good",)
    register_densepose_coco("odd_good", good, good.parent, surface=good.parent / "surface")
    try:
        with pytest.raises(ValueError, match=message):
            DensePoseTrainer(cfg)
    finally:
        DatasetCatalog.remove("odd_good")
        MetadataCatalog.remove("odd_good")
