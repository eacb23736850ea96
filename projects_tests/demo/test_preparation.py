"""What the demo prepares before it trains."""

import logging
import subprocess

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import register_synthetic
from densepose_ext.demo import preparation
from densepose_ext.processes.bare import command
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.settings import Settings

NAME = "made_before"


@pytest.fixture
def people(tmp_path):
    register_synthetic(NAME, "train", 2, Settings(size=64), tmp_path / NAME, workers=1)
    yield tmp_path / NAME / "densepose_train.json"
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def test_people_and_distances_are_made(people, tmp_path, monkeypatch):
    made = tmp_path / "distances"
    monkeypatch.setattr(preparation, "_GEODESICS", f"open({str(made)!r}, 'w').close()")
    images = preparation.prepare([NAME])
    assert people.exists()
    assert made.exists()
    assert list(images) == [NAME]
    assert [image["image_id"] for image in images[NAME]] == [0, 1]


@pytest.mark.slow
def test_the_distances_are_those_that_scoring_takes(monkeypatch):
    subprocess.run(command(preparation._GEODESICS), check=True)

    def compute(*_):
        raise AssertionError("they were not there")

    monkeypatch.setattr("densepose_ext.surface.surface.distance_rows", compute)
    surface = BodySurface.load()
    vars(surface).pop("geodesic_table", None)  # to be read again
    assert surface.geodesic(np.array([0]), np.array([0])).tolist() == [0.0]


def test_distances_that_fail_are_left_to_scoring(people, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("detectron2"), "propagate", True)
    monkeypatch.setattr(preparation, "_GEODESICS", "import sys; sys.exit(3)")
    preparation.prepare([NAME])
    assert "exited with 3" in caplog.text
    assert people.exists()


def test_people_that_cannot_be_made_end_it_at_once(people, monkeypatch):
    people.parent.write_text("a file where the folder should be")
    monkeypatch.setattr(preparation, "_GEODESICS", "import time; time.sleep(600)")
    with pytest.raises(OSError, match=NAME):
        preparation.prepare([NAME])
