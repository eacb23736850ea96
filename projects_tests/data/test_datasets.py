"""The public datasets: names, paths, and the environment variable for their root."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

import densepose_ext
from densepose_ext import get_config_file, load_config
from densepose_ext.data.annotation_file import read_annotations
from densepose_ext.data.datasets import _listed
from densepose_ext.files.configs import list_configs

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
    "densepose_coco_2014_train_cse": (
        "coco_cse/densepose_train2014_cse.json",
        "coco/train2014",
    ),
    "densepose_coco_2014_minival_cse": (
        "coco_cse/densepose_minival2014_cse.json",
        "coco/val2014",
    ),
    "densepose_coco_2014_minival_100_cse": (
        "coco_cse/densepose_minival2014_100_cse.json",
        "coco/val2014",
    ),
    "densepose_coco_2014_valminusminival_cse": (
        "coco_cse/densepose_valminusminival2014_cse.json",
        "coco/val2014",
    ),
    "densepose_chimps": (
        "densepose_chimps/densepose_chimps_densepose.json",
        "densepose_chimps/images",
    ),
    "densepose_chimps_cse_train": (
        "densepose_chimps/densepose_chimps_cse_train.json",
        "densepose_chimps/images",
    ),
    "densepose_chimps_cse_val": (
        "densepose_chimps/densepose_chimps_cse_val.json",
        "densepose_chimps/images",
    ),
    "densepose_lvis_v1_ds1_train_v1": ("lvis/densepose_lvis_v1_ds1_train_v1.json", "coco_"),
    "densepose_lvis_v1_ds1_val_v1": ("lvis/densepose_lvis_v1_ds1_val_v1.json", "coco_"),
    "densepose_lvis_v1_ds2_train_v1": ("lvis/densepose_lvis_v1_ds2_train_v1.json", "coco_"),
    "densepose_lvis_v1_ds2_val_v1": ("lvis/densepose_lvis_v1_ds2_val_v1.json", "coco_"),
    "densepose_lvis_v1_ds1_val_animals_100": (
        "lvis/densepose_lvis_v1_val_animals_100_v2.json",
        "coco_",
    ),
    "lvis_v05_train": ("lvis/lvis_v0.5_plus_dp_train.json", "coco/train2017"),
    "lvis_v05_val": ("lvis/lvis_v0.5_plus_dp_val.json", "coco/val2017"),
    "base_coco_2017_train": ("coco/annotations/instances_train2017.json", "coco/train2017"),
    "base_coco_2017_val": ("coco/annotations/instances_val2017.json", "coco/val2017"),
    "base_coco_2017_val_100": ("coco/annotations/instances_val2017_100.json", "coco/val2017"),
}


@pytest.mark.parametrize("name", PLACES)
def test_registered_under_the_official_names(name):
    assert name in DatasetCatalog
    metadata = MetadataCatalog.get(name)
    assert metadata.surface == "smpl"
    assert metadata.evaluator_type == "coco"
    assert len(metadata.keypoint_flip_map) == 8


@pytest.mark.parametrize(
    "name", [n for n in list_configs() if n.startswith(("cse/", "evolution/"))]
)
def test_the_datasets_of_the_official_configs_are_registered(name):
    cfg = load_config(get_config_file(name))
    bootstrapped = [node["DATASET"] for node in cfg.BOOTSTRAP_DATASETS]
    for dataset in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST, *bootstrapped):
        assert dataset in DatasetCatalog, dataset


def test_a_list_of_videos_is_read_line_by_line(tmp_path):
    path = tmp_path / "video_list.txt"
    path.write_text("a/1.mp4\n\nb.mp4\n")
    names = [record["file_name"] for record in _listed(str(path))]
    assert names == [f"{tmp_path}/a/1.mp4", f"{tmp_path}/b.mp4"]
    with pytest.raises(FileNotFoundError, match=r"video_list\.txt"):
        DatasetCatalog.get("chimpnsee")


@pytest.mark.parametrize(
    ("root", "path"), [("sets/coco_", "sets/coco_val2017/7.jpg"), ("sets", "sets/val2017/7.jpg")]
)
def test_pictures_of_lvis_are_found_by_their_url(tmp_path, root, path):
    image = {"id": 7, "width": 9, "height": 5, "coco_url": "http://images/val2017/7.jpg"}
    person = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25}
    content = {
        "images": [image],
        "annotations": [person],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "lvis.json").write_text(json.dumps(content))
    file = read_annotations(tmp_path / "lvis.json", root)
    assert file.images[7]["path"] == path


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
