"""The public datasets: names, paths, and the environment variable for their root."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

import densepose_ext

PLACES = {
    "densepose_coco_2014_train": ("coco/annotations/densepose_train2014.json", "coco/train2014"),
    "densepose_coco_2014_minival": ("coco/annotations/densepose_minival2014.json", "coco/val2014"),
    "densepose_coco_2014_minival_100": (
        "coco/annotations/densepose_minival2014_100.json",
        "coco/val2014",
    ),
    "densepose_coco_2014_valminusminival": (
        "coco/annotations/densepose_valminusminival2014.json",
        "coco/val2014",
    ),
    "posetrack2017_train": (
        "posetrack2017/densepose_posetrack_train2017.json",
        "posetrack2017/posetrack_data_2017",
    ),
    "posetrack2017_val": (
        "posetrack2017/densepose_posetrack_val2017.json",
        "posetrack2017/posetrack_data_2017",
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_registered_under_the_official_names(name):
    assert name in DatasetCatalog
    metadata = MetadataCatalog.get(name)
    assert metadata.surface == "smpl"
    assert metadata.evaluator_type == "coco"
    assert len(metadata.keypoint_flip_map) == 8


def test_registering_again_changes_nothing():
    densepose_ext.register_public_datasets()
    assert set(PLACES) <= set(DatasetCatalog.list())


REPORT = """
import json, os
from detectron2.data import DatasetCatalog, MetadataCatalog
import densepose_ext

def report():
    return [[m.json_file, m.image_root] for m in map(MetadataCatalog.get, NAMES)]

reports = [report()]
for root in ("/data/sets", "~/sets"):
    os.environ["DETECTRON2_DATASETS"] = root
    for name in NAMES:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
    densepose_ext.register_public_datasets()
    reports.append(report())
print(json.dumps(reports))
"""


@pytest.mark.slow
def test_the_root_is_that_of_detectron2():
    environment = {k: v for k, v in os.environ.items() if k != "DETECTRON2_DATASETS"}
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"NAMES = {list(PLACES)}\n{REPORT}"],
        env={**environment, "PYTHONPATH": str(Path(densepose_ext.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    roots = ["datasets", "/data/sets", os.path.expanduser("~/sets")]
    assert json.loads(answer.stdout) == [
        [[f"{root}/{json_file}", f"{root}/{images}"] for json_file, images in PLACES.values()]
        for root in roots
    ]
