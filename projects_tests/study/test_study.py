"""Small studies from end to end: pages, and that they go on where they were."""

import base64
import json
import logging
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import HookBase

from densepose_ext.commands.main import main
from densepose_ext.processes.messages import counted
from densepose_ext.study import run, training
from densepose_ext.study.budget import BUDGETS, Budget
from densepose_ext.study.data import StudyData
from densepose_ext.study.outcome import Outcome
from densepose_ext.study.page import write_study
from densepose_ext.study.plans import plan
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.settings import Settings
from projects_tests.tiny_model import CONFIG

# They train.
pytestmark = pytest.mark.slow

TINY = Budget(
    "tiny",
    Settings(size=96, people=2, dense=True),
    train=4,
    val=3,
    config=CONFIG,
    changes=(
        *("SOLVER.MAX_ITER", 2, "SOLVER.IMS_PER_BATCH", 2, "SOLVER.CHECKPOINT_PERIOD", 1),
        *("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0, "TEST.DETECTIONS_PER_IMAGE", 2),
    ),
    from_shipped=False,
    teacher=(
        *("MODEL.DENSEPOSE_TEACHER.CROP_SIZE", 64, "MODEL.TIMM.WEIGHTS", ""),
        *("SOLVER.MAX_ITER", 1, "SOLVER.IMS_PER_BATCH", 2),
        *("MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM", 32),
    ),
    finest_stride=4,
)


@pytest.fixture(scope="module", autouse=True)
def loggers():
    """Studies send Detectron2's log to files; the tests after these read it."""
    found = [logging.getLogger(name) for name in ("detectron2", "fvcore")]
    before = [(one.handlers[:], one.propagate, one.level) for one in found]
    yield
    for one, (handlers, propagate, level) in zip(found, before):
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory):
    """The budget, and a folder of datasets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUDGETS, "tiny", TINY)
        patch.setenv("DETECTRON2_DATASETS", str(tmp_path_factory.mktemp("datasets")))
        patch.setattr("densepose_ext.study.run.number_of_cores", lambda: 1)
        yield
    for name in [name for name in DatasetCatalog if name.startswith("study_tiny_")]:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def ablation(out):
    arguments = ["--budget", "tiny", "--out", str(out), "--set", "MODEL.DEVICE", "cpu"]
    assert main(["study", "ablation", *arguments, "--runs", "dense pose,cascade keypoints"]) == 0
    return out / "ablation_tiny"


def study(name, out, *chosen, seeds=1):
    overrides = ["MODEL.DEVICE", "cpu"] if name != "robustness" else []
    return run.run_study(name, "tiny", out, seeds, chosen, overrides=overrides)


def test_a_page_with_scores_plots_and_what_was_not_run(ablation):
    text = (ablation / "index.html").read_text()
    for heading in ("Scores", "Where on the body", "How points are classified", "Which people"):
        assert f"<h2>{heading}</h2>" in text
    assert "Not run: masks, keypoints, masks and keypoints, cascade, cascade masks" in text
    assert (
        "Budget tiny: 2 steps of 2 images, 4 training images of 96 pixels, initialized from"
        " ImageNet; tested on 3 other images" in text
    )
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 3
    assert base64.b64decode(pictures[0]) == (ablation / "plot.png").read_bytes()
    lines = (ablation / "table.txt").read_text().splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "run", "-" * len("cascade keypoints"), "dense pose", "cascade keypoints",
    ]  # fmt: skip


def test_raw_figures(ablation):
    raw = json.loads((ablation / "study.json").read_text())
    assert [row["run"] for row in raw["rows"]] == ["dense pose", "cascade keypoints"]
    for outcome in raw["outcomes"]:
        assert (
            sum(outcome["confusions"].values()) == pytest.approx(1) or not outcome["parts"]["found"]
        )
        counts = {
            sum(row["people"] for row in strata.values()) for strata in outcome["strata"].values()
        }
        assert counts == {outcome["parts"]["people"]}
        assert len(outcome["resampled"]["AP"]) == 500
        gps = outcome["parts"]["mean_gps"]
        assert min(outcome["resampled"]["mean_gps"]) <= gps <= max(outcome["resampled"]["mean_gps"])


def test_runs_that_are_done_are_kept_whatever_the_study(ablation, out, tmp_path, monkeypatch):
    def begun(*args):
        raise AssertionError("trained again")

    out = shutil.copytree(out, tmp_path / "out")
    ablation = out / ablation.name
    (ablation / "index.html").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(training, "train", begun)
        assert study("ablation", out, "dense pose") == ablation / "index.html"
        study("supervision", out, "points")
        with pytest.raises(AssertionError, match="trained again"):
            study("ablation", out, "dense pose", seeds=2)


def test_a_run_that_was_broken_off_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    class Stopped(HookBase):
        def after_step(self):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("densepose_ext.demo.training.Progress", Stopped)
        with pytest.raises(KeyboardInterrupt):
            study("ablation", tmp_path, "dense pose")
    study("ablation", tmp_path, "dense pose")
    (log,) = tmp_path.glob("runs/*/log.txt")
    assert "Starting training from iteration 1" in log.read_text()


def test_other_settings_are_another_run(ablation, out, monkeypatch):
    before = len(list((out / "runs").iterdir()))
    monkeypatch.setitem(
        BUDGETS, "tiny", replace(TINY, changes=(*TINY.changes, "INPUT.CROP.ENABLED", True))
    )
    study("ablation", out, "dense pose")
    assert len(list((out / "runs").iterdir())) == before + 1


def test_supervision_by_a_teacher_and_by_fitted_bodies(out):
    pytest.importorskip("timm")
    runs = ["points", "teacher", "points by hand", "points of fitted bodies"]
    page = study("supervision", out, *runs)
    text = page.read_text()
    raw = json.loads((page.parent / "study.json").read_text())
    assert [row["run"] for row in raw["rows"]] == runs
    assert list(raw["label_errors"]) == ["teacher", "by hand", "fitted"]
    for error in raw["label_errors"].values():
        assert f"<h2>{error['heading']}</h2>" in text
        assert error["table"]["all"]["points"] > 100


def test_embeddings_beside_charts(ablation, out, monkeypatch):
    # Features of the whole size take seconds where they are not cached.
    few = ("MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS.open.FEATURE_DIM", 4)
    whole = plan("embeddings", TINY)
    small = tuple(replace(r, changes=(*r.changes, *few)) if r.changes else r for r in whole.runs)
    monkeypatch.setattr(run, "plan", lambda name, budget: replace(whole, runs=small))
    page = study("embeddings", out, "charts", "soft loss and cycles")
    raw = json.loads((page.parent / "study.json").read_text())
    charts, embeddings = raw["outcomes"]
    assert [one["run"] for one in (charts, embeddings)] == ["charts", "soft loss and cycles"]
    # The same people are scored.
    assert charts["parts"]["people"] == embeddings["parts"]["people"] > 0
    log = (Path(embeddings["folder"]) / "log.txt").read_text()
    assert "loss_densepose_Eopen" in log
    assert "loss_pix2shape" in log


def test_the_same_people_annotated_in_other_ways(tmp_path):
    data = StudyData(TINY, Path(os.environ["DETECTRON2_DATASETS"]))
    data.make(1)
    people = {}
    for variant in ("points", "vertices", "half", "by hand"):
        name = data.train(variant, data.annotations(variant, tmp_path))
        people[variant] = [p for image in DatasetCatalog.get(name) for p in image["annotations"]]
    plain = people["points"]
    for variant in ("vertices", "half", "by hand"):
        assert [p["bbox"] for p in people[variant]] == [p["bbox"] for p in plain]
        assert all("keypoints" in p for p in people[variant])
    counts = {v: sum("dp_x" in p for p in found) for v, found in people.items()}
    assert counts["vertices"] == counts["points"]
    assert counts["half"] == round(counts["points"] / 2)
    pairs = [pair for pair in zip(plain, people["by hand"]) if "dp_U" in pair[0]]
    assert any(list(one["dp_U"]) != list(other["dp_U"]) for one, other in pairs)


def test_both_ways_of_scoring_take_the_same_points(tmp_path):
    data = StudyData(TINY, Path(os.environ["DETECTRON2_DATASETS"]))
    data.make(1)
    plain, by_vertices = (
        [p for image in DatasetCatalog.get(name) for p in image["annotations"] if "dp_x" in p]
        for name in (data.test_for("points", tmp_path), data.test_for("vertices", tmp_path))
    )
    surface = BodySurface.load()
    for one, other in zip(plain, by_vertices, strict=True):
        for key in ("bbox", "dp_x", "dp_y", "dp_I"):
            assert list(one[key]) == list(other[key])
        i, u, v = (np.array(one[key]) for key in ("dp_I", "dp_U", "dp_V"))
        true = surface.closest_vertex(i.astype(int), u, v)
        assert list(other["dp_vertex"]) == true.tolist()


def test_people_from_before_clothing_was_recorded(tmp_path, capsys):
    data = StudyData(TINY, tmp_path)
    data.make(1)
    assert "clothing" not in capsys.readouterr().err
    path = data.folder / "densepose_val.json"
    contents = json.loads(path.read_bytes())
    for person in contents["annotations"]:
        del person["clothing"]
    path.write_text(json.dumps(contents))
    data.make(1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} is from a version that did not record clothing")


def test_runs_from_before_clothing_was_recorded(ablation, tmp_path):
    now = json.loads((ablation / "study.json").read_text())["outcomes"][0]
    strata = now["strata"]
    before = {**now, "strata": {k: v for k, v in strata.items() if k != "clothing"}}
    runs = {"dense pose": before, "keypoints": now}
    outcomes = [Outcome(name, 1, ablation, measures) for name, measures in runs.items()]
    kind, people = next((k, v["people"]) for k, v in strata["clothing"].items() if v["people"])
    page = write_study(plan("ablation", TINY), "facts", outcomes, tmp_path)
    text = page.read_text().replace("\u00a0", " ")
    assert f"<th>{kind} ({counted(people, 'person')})</th>" in text


def test_robustness_of_the_shipped_model(out):
    pytest.importorskip("timm")
    page = study("robustness", out, "as it is", "blur of 4 pixels")
    raw = json.loads((page.parent / "study.json").read_text())
    sharp, blurred = raw["rows"]
    assert sharp["scores"]["mean GPS"]["value"] != blurred["scores"]["mean GPS"]["value"]
    text = page.read_text()
    assert "<th>occlusion</th>" in text
    assert "Budget tiny: the shipped model; tested on 3 other images" in text
    for report in re.findall(r'href="([^"]+)"', text):
        assert (page.parent / report).is_file()
