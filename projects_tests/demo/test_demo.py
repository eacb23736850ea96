"""The demo in small: a whole run, its outputs, and resuming."""

import base64
import json
import logging
import re

import pytest
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import get_config_file, register_synthetic
from densepose_ext.demo import run_demo
from densepose_ext.demo.page import read_losses
from densepose_ext.synthetic.settings import Settings
from projects_tests.tiny_model import CONFIG

NAMES = {"demo_test_train": "train", "demo_test_val": "val"}


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo_people")
    for number, (name, split) in enumerate(NAMES.items()):
        settings = Settings(size=96, seed=number)
        register_synthetic(name, split, 3, settings, folder / name, workers=1)
    yield [
        *("DATASETS.TRAIN", ("demo_test_train",), "DATASETS.TEST", ("demo_test_val",)),
        *("SOLVER.MAX_ITER", 6, "SOLVER.IMS_PER_BATCH", 2, "MODEL.DEVICE", "cpu"),
        *("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0, "TEST.DETECTIONS_PER_IMAGE", 2),
        *("TEST.AUG.ENABLED", True, "TEST.AUG.MIN_SIZES", (96,)),
    ]
    for name in NAMES:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture(scope="module", autouse=True)
def loggers():
    """Undoes the demo's redirection of Detectron2's log, which later tests read."""
    found = [logging.getLogger(name) for name in ("detectron2", "fvcore")]
    before = [(one.handlers[:], one.propagate, one.level) for one in found]
    yield
    for one, (handlers, propagate, level) in zip(found, before):
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


@pytest.fixture(scope="module")
def done(overrides, tmp_path_factory, loggers):
    out = tmp_path_factory.mktemp("demo")
    return run_demo(out, get_config_file(CONFIG), overrides)


@pytest.mark.slow
def test_one_page_with_scores_curve_and_pictures(done):
    text = done.read_text()
    for heading in ("Scores", "Pictures", "Learning curve", "What next"):
        assert f"<h2>{heading}</h2>" in text
    assert "<th>this run</th><th>shipped model</th>" in text
    assert "predictions are averages over each picture and its mirror image" in text
    pictures = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', text)
    assert len(pictures) >= 9
    assert all(len(base64.b64decode(data)) > 1000 for data in pictures)
    for report in re.findall(r'href="([^"]+)"', text):
        assert (done.parent / report).is_file()


@pytest.mark.slow
def test_a_second_run_goes_on_where_the_first_was(overrides, done):
    out = done.parent
    weights = out / "training" / "model_final.pth"
    scores = out / "scores" / "this_run" / "box.json"
    before = weights.stat().st_mtime_ns, scores.stat().st_mtime_ns
    done.unlink()
    assert run_demo(out, get_config_file(CONFIG), overrides) == done
    assert done.is_file()
    assert (weights.stat().st_mtime_ns, scores.stat().st_mtime_ns) == before


def test_another_config_does_not_go_into_the_same_folder(overrides, done):
    with pytest.raises(ValueError, match="another config"):
        run_demo(done.parent, get_config_file(CONFIG), [*overrides, "SOLVER.MAX_ITER", 7])


@pytest.mark.parametrize(
    ("gpu", "overrides", "device", "people"),
    [
        (True, [], "cuda", "densepose_synth_many_train"),
        (True, ["MODEL.DEVICE", "cpu"], "cpu", "densepose_synth_small_train"),
        (False, [], "cpu", "densepose_synth_small_train"),
    ],
)
def test_the_recipe_is_the_device_s(monkeypatch, tmp_path, gpu, overrides, device, people):
    class Begun(Exception):
        pass

    def prepare(datasets):
        raise Begun

    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr("densepose_ext.demo.run.prepare", prepare)
    with pytest.raises(Begun):
        run_demo(tmp_path, overrides=overrides)
    claimed = CfgNode.load_cfg((tmp_path / "config.yaml").read_text())
    assert list(claimed.DATASETS.TRAIN) == [people]
    assert claimed["MODEL"]["DEVICE"] == device
    assert (claimed.DATALOADER.NUM_WORKERS > 0) is (device == "cuda")


def test_losses_of_a_resumed_training_are_read_once(tmp_path):
    lines = [
        {"iteration": 19, "total_loss": 4.0, "loss_cls": 1.0},
        {"iteration": 39, "total_loss": 3.0, "loss_cls": 0.8},
        {"iteration": 39, "total_loss": 2.0, "loss_cls": 0.7},
        {"iteration": 39, "bbox/AP": 1.0},
    ]
    path = tmp_path / "metrics.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_losses(path) == {
        "total_loss": [(19, 4.0), (39, 2.0)],
        "loss_cls": [(19, 1.0), (39, 0.7)],
    }


@pytest.mark.slow
def test_scores_of_other_weights_are_measured_again(overrides, done):
    scores = done.parent / "scores" / "shipped_model" / "box.json"
    box = json.loads(scores.read_text())
    scores.write_text(json.dumps(box | {"AP": -7, "weights": "of an earlier version"}))
    run_demo(done.parent, get_config_file(CONFIG), overrides)
    again = json.loads(scores.read_text())
    assert {**again, "milliseconds": 0} == {**box, "milliseconds": 0}


def test_what_cannot_be_drawn_is_said_before_training(overrides, tmp_path):
    for names in ((), ("demo_test_val", "demo_test_train"), ("densepose_coco_2014_minival",)):
        with pytest.raises(ValueError, match="expected one synthetic dataset"):
            run_demo(tmp_path, get_config_file(CONFIG), [*overrides, "DATASETS.TEST", names])
    with pytest.raises(ValueError, match=r"SOLVER\.MAX_ITR"):
        run_demo(tmp_path, get_config_file(CONFIG), ["SOLVER.MAX_ITR", 5])
    assert not any(tmp_path.iterdir())


def test_a_line_that_was_cut_off_is_passed_over(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"iteration": 19, "loss_cls": 1.0}\n{"iteration": 39, "loss_c{"iteration"')
    assert read_losses(path) == {"loss_cls": [(19, 1.0)]}
