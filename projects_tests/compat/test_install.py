"""Programs written for the official package run on top of this one."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from densepose_ext import DensePosePredictor, People, get_config_file
from densepose_ext.prediction.dump import dump_entry, write_dump
from projects_tests import forked_python
from projects_tests.reference import ROOT
from projects_tests.tiny_model import CONFIG, tiny_model

pytestmark = pytest.mark.slow

#: What every program does first: the configuration and Detectron2's predictor.
START = f"""
import cv2, numpy as np, torch
from detectron2.config import get_cfg
from detectron2.engine import DefaultPredictor
from densepose import add_densepose_config

cfg = get_cfg()
add_densepose_config(cfg)
cfg.merge_from_file({get_config_file(CONFIG)!r})
cfg.MODEL.DEVICE = "cpu"
cfg.MODEL.WEIGHTS = "tiny.pth"
predictor = DefaultPredictor(cfg)
frame = cv2.imread("picture.png")
with torch.no_grad():
    outputs = predictor(frame)["instances"]
"""

#: Pictures to steer the animation of people: parts in a colour map on its first colour.
ANIMATION = (
    START
    + """
from densepose.vis.extractor import DensePoseResultExtractor
from densepose.vis.densepose_results import (
    DensePoseResultsFineSegmentationVisualizer as Visualizer,
)

results = DensePoseResultExtractor()(outputs)
cmap = cv2.COLORMAP_VIRIDIS
ground = cv2.applyColorMap(np.zeros(frame.shape[:2], dtype=np.uint8), cmap)
drawn = Visualizer(alpha=1, cmap=cmap).visualize(ground, results)
assert drawn is ground
cv2.imwrite("drawn.png", drawn)
"""
)

#: Several drawings over a picture, as apply_net.py puts them together.
COMPOUND = (
    START
    + """
from densepose.vis.base import CompoundVisualizer
from densepose.vis.bounding_box import ScoredBoundingBoxVisualizer
from densepose.vis.densepose_results import (
    DensePoseResultsContourVisualizer, DensePoseResultsUVisualizer, DensePoseResultsVVisualizer,
)
from densepose.vis.extractor import CompoundExtractor, create_extractor

visualizers = [
    DensePoseResultsUVisualizer(cfg=cfg, texture_atlas=None),
    DensePoseResultsContourVisualizer(cfg=cfg),
    ScoredBoundingBoxVisualizer(cfg=cfg),
]
extractor = CompoundExtractor([create_extractor(one) for one in visualizers])
drawn = CompoundVisualizer(visualizers).visualize(frame.copy(), extractor(outputs))
assert drawn.shape == frame.shape and (drawn != frame).any()
one = create_extractor(CompoundVisualizer(visualizers))(outputs, torch.tensor([0]))
assert [len(one[0][0]), len(one[1][0]), len(one[2][1])] == [1, 1, 1]
before = frame.copy()
DensePoseResultsVVisualizer(inplace=False).visualize(frame, one[0])
assert (frame == before).all()
cv2.imwrite("drawn.png", drawn)
"""
)

#: A program that reads a dump, by the official classes' attributes.
DUMP = """
import cv2, numpy as np, torch
from densepose.structures import DensePoseChartResult, DensePoseResult

[entry] = torch.load("results.pkl", weights_only=False)
person = entry["pred_densepose"][0]
assert isinstance(person, DensePoseChartResult), type(person)
uv = (person.uv.clamp(0, 1) * 255).to(torch.uint8)
iuv = torch.cat([person.labels[None].to(torch.uint8), uv]).numpy()
text = DensePoseResult.encode_png_data(iuv)
assert (DensePoseResult.decode_png_data(iuv.shape, text) == iuv).all()
x, y = entry["pred_boxes_XYXY"][0, :2].int().tolist()
drawn = np.zeros(cv2.imread("picture.png").shape, np.uint8)
drawn[y : y + iuv.shape[1], x : x + iuv.shape[2]] = iuv.transpose(1, 2, 0)
cv2.imwrite("drawn.png", drawn)
"""

INSTALL = "import densepose_ext.compat.install\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compat")
    torch.save({"model": tiny_model().state_dict()}, folder / "tiny.pth")
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "picture.png"), noise)
    return folder


@pytest.fixture(scope="module")
def people(place):
    return DensePosePredictor(CONFIG, place / "tiny.pth", "cpu")(place / "picture.png")


def run(folder, program: str) -> tuple[int, str]:
    """Exit status of a program in a folder, and what it prints."""
    script, printed = folder / "program.py", folder / "printed.txt"
    script.write_text(program)
    status = forked_python.run([script], folder, {"PATH": "", "OMP_NUM_THREADS": "1"}, printed)
    return status, printed.read_text()


def check_animation(place, people) -> None:
    # later people are on top there, better ones here
    people = People(
        [replace(person, score=float(n)) for n, person in enumerate(people)], people.size
    )
    labels = people.to_iuv()[..., 0]
    expected = cv2.applyColorMap((labels * (255 / 24)).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    assert np.array_equal(cv2.imread(str(place / "drawn.png")), expected)


def test_pictures_for_animation(place, people):
    status, printed = run(place, INSTALL + ANIMATION)
    assert status == 0, printed
    check_animation(place, people)


def test_a_program_that_is_not_changed(place, people):
    variables = {"DETECTRON2_ENV_MODULE": "densepose_ext.compat.install", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ANIMATION],
        cwd=place,
        env={"PYTHONPATH": str(ROOT), "PATH": "", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    check_animation(place, people)


def test_several_drawings(place):
    status, printed = run(place, INSTALL + COMPOUND)
    assert status == 0, printed


def test_a_dump(place, people):
    people = People(people[:1], people.size)
    write_dump(place / "results.pkl", [dump_entry("picture.png", people)], official=True)
    status, printed = run(place, INSTALL + DUMP)
    assert status == 0, printed
    assert np.array_equal(cv2.imread(str(place / "drawn.png")), people.to_iuv())


def test_refused_where_the_official_package_is(tmp_path):
    (tmp_path / "densepose").mkdir()
    (tmp_path / "densepose" / "__init__.py").write_text("official = True\n")
    status, printed = run(tmp_path, INSTALL)
    assert status != 0
    last = printed.strip().splitlines()[-1]
    assert last.startswith("ImportError: a package densepose is already installed (")
    assert str(tmp_path / "densepose") in last


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (INSTALL + "import densepose.data.datasets", "densepose_ext.compat has no densepose.data;"),
        ("import densepose_ext\nimport densepose", "No module named 'densepose'"),
    ],
)
def test_what_is_not_there_and_what_is_not_asked_for(tmp_path, program, message):
    status, printed = run(tmp_path, program)
    assert status != 0
    assert message in printed.strip().splitlines()[-1]
