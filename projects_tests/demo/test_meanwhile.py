"""What the demonstration has made while the model trains."""

import logging
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import register_synthetic
from densepose_ext.demo import meanwhile
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.dataset import Settings

NAME = "made_meanwhile"


@pytest.fixture
def people(tmp_path):
    register_synthetic(NAME, "train", 2, Settings(size=64), tmp_path / NAME, workers=1)
    yield tmp_path / NAME / "densepose_train.json"
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def until(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it was not made"
        time.sleep(0.05)


def test_people_and_then_distances_are_made(people, tmp_path, monkeypatch):
    made = tmp_path / "distances"
    program = f"import os; os.stat({str(people)!r}); open({str(made)!r}, 'w').close()"
    monkeypatch.setattr(meanwhile, "_GEODESICS", program)
    meanwhile.make_meanwhile([NAME])
    until(made.exists)
    assert len(DatasetCatalog.get(NAME)) == 2


def test_the_distances_are_those_that_scoring_takes(monkeypatch):
    subprocess.run([sys.executable, "-W", "ignore", "-c", meanwhile._GEODESICS], check=True)

    def compute(*_):
        raise AssertionError("they were not there")

    monkeypatch.setattr("densepose_ext.surface.surface.distance_rows", compute)
    surface = BodySurface.load()
    vars(surface).pop("_geodesics", None)  # to be read again
    assert surface.geodesic(np.array([0]), np.array([0])).tolist() == [0.0]


def test_what_goes_wrong_is_said_and_left_to_those_who_ask(people, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("detectron2"), "propagate", True)
    people.parent.write_text("a file where the folder should be")
    meanwhile.make_meanwhile([NAME])
    until(lambda: "while the model trains" in caplog.text)
    assert str(people.parent) in caplog.text
    with pytest.raises(OSError, match=NAME):
        DatasetCatalog.get(NAME)


def test_threads_are_shared_for_a_while():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        hook, counts = meanwhile.SharedCores(2), []
        for iteration in range(4):
            hook.trainer = SimpleNamespace(iter=iteration)
            hook.before_step()
            counts.append(torch.get_num_threads())
        assert counts == [2, 2, 4, 4]
        stopped = meanwhile.SharedCores(2)
        stopped.trainer = SimpleNamespace(iter=0)
        stopped.before_step()
        assert torch.get_num_threads() == 2
        stopped.after_train()
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
