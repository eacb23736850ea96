"""What all tests share."""

import logging
import os

# Tests run in parallel, one per core; more threads would only wait for each other.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import hypothesis
import pytest
import torch

from projects_tests.tiny_dataset import make_dataset, make_surface

# The same examples in every run; `pytest --hypothesis-profile=default` draws others.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _logs_are_seen(monkeypatch):
    """Undoes Detectron2's set-up of logging, which would hide its loggers from caplog."""
    for name in ("detectron2", "fvcore"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory):
    """A JSON file beside its three pictures; every person has dense pose."""
    return make_dataset(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def surface_folder(tmp_path_factory):
    """A folder that works as a surface with a mirror map: U' = 1 - U, V' = V."""
    return make_surface(tmp_path_factory.mktemp("surface"))
