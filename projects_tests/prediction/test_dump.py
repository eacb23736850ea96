"""Files of apply_net.py dump, of both kinds, written and read."""

import pickletools
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from densepose_ext import People
from densepose_ext.prediction.dump import dump_entry, read_dump, write_dump
from densepose_ext.structures import VertexResult
from projects_tests.visualization.people import random_person

SIZE = (40, 50)

#: The official project's classes, as far as a pickle of them goes.
OFFICIAL = """
from dataclasses import dataclass
from typing import Any
import torch

@dataclass
class DensePoseChartResult:
    labels: torch.Tensor
    uv: torch.Tensor

@dataclass
class DensePoseChartResultWithConfidences:
    labels: torch.Tensor
    uv: torch.Tensor
    sigma_1: Any = None
    sigma_2: Any = None
    kappa_u: Any = None
    kappa_v: Any = None
    fine_segm_confidence: Any = None
    coarse_segm_confidence: Any = None
"""


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    persons = [
        random_person(rng, (3.5, 5, 30, 38), 0.75),
        random_person(rng, (9, 2, 49.5, 20), 0.5),
    ]
    shape = persons[1].result.labels.shape
    persons[1].result.sigma_2 = torch.rand(shape)
    return People(persons, SIZE)


def check_same(found: People, people: People) -> None:
    assert len(found) == len(people)
    for one, other in zip(found, people):
        assert (one.box == other.box).all()
        assert one.score == other.score
        assert torch.equal(one.result.labels, other.result.labels)
        assert torch.equal(one.result.uv, other.result.uv)
        if other.result.sigma_2 is None:
            assert one.result.sigma_2 is None
        else:
            assert torch.equal(one.result.sigma_2, other.result.sigma_2)


def test_plain_files_need_nobodys_classes(tmp_path, people):
    path = tmp_path / "new" / "results.pkl"
    assert (
        write_dump(path, [dump_entry("a.jpg", people), dump_entry("b.jpg", People([], SIZE))]) == 2
    )
    first, second = torch.load(path, weights_only=True)
    assert first["file_name"] == "a.jpg"
    assert first["scores"].tolist() == [0.75, 0.5]
    assert first["pred_boxes_XYXY"].shape == (2, 4)
    assert first["pred_densepose"][1].keys() == {"labels", "uv", "sigma_2"}
    assert second["pred_boxes_XYXY"].shape == (0, 4)
    assert second["pred_densepose"] == []
    (name, found), (_, nobody) = read_dump(path)
    assert (name, found.size, nobody.size) == ("a.jpg", SIZE, SIZE)
    check_same(found, people)


def test_official_files_come_back(tmp_path, people):
    path = tmp_path / "results.pkl"
    write_dump(path, [dump_entry("a.jpg", people)], official=True)
    ((name, found),) = read_dump(path)
    assert name == "a.jpg"
    assert found.size == (38, 50)
    check_same(found, people)
    with zipfile.ZipFile(path) as archive:
        (pickled,) = [n for n in archive.namelist() if n.endswith("data.pkl")]
        named = {a for op, a, _ in pickletools.genops(archive.read(pickled)) if op.name == "GLOBAL"}
    assert not any("densepose_ext" in name for name in named)


@pytest.mark.slow
def test_the_official_classes_read_official_files(tmp_path, people):
    write_dump(tmp_path / "results.pkl", [dump_entry("a.jpg", people)], official=True)
    package = tmp_path / "densepose" / "structures"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "chart_result.py").write_text(OFFICIAL)
    program = """
import torch
[entry] = torch.load("results.pkl", weights_only=False)
first, second = entry["pred_densepose"]
assert type(first).__name__ == "DensePoseChartResult"
assert type(second).__name__ == "DensePoseChartResultWithConfidences"
assert first.labels.shape == (33, 26) and first.uv.shape == (2, 33, 26), first.labels.shape
assert second.sigma_2.shape == second.labels.shape and second.kappa_u is None
assert sorted(entry) == ["file_name", "pred_boxes_XYXY", "pred_densepose", "scores"]
# as the official project writes it itself
torch.save([entry], "theirs.pkl")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    ((_, found),) = read_dump(tmp_path / "theirs.pkl")
    check_same(found, people)


def test_vertices(tmp_path):
    rng = np.random.default_rng(0)
    person = random_person(rng, (3, 5, 30, 38), 0.75)
    vertices = torch.randint(0, 99, person.result.labels.shape, dtype=torch.int32)
    person.result = VertexResult(person.result.labels, vertices, "cat_5001")
    entry = dump_entry("cat.jpg", People([person], SIZE))
    write_dump(tmp_path / "cat.pkl", [entry])
    ((_, (found,)),) = read_dump(tmp_path / "cat.pkl")
    assert found.result.mesh == "cat_5001"
    assert torch.equal(found.result.vertices, vertices)
    with pytest.raises(ValueError, match=r"cat.jpg: people of a CSE model cannot"):
        write_dump(tmp_path / "cat.pkl", [entry], official=True)


def test_other_files(tmp_path):
    path = tmp_path / "other.pkl"
    for content, message in (({"model": 1}, "has a dict"), ([1], "picture 0 cannot be used")):
        torch.save(content, path)
        with pytest.raises(ValueError, match=message):
            list(read_dump(path))
    torch.save([tmp_path], path)
    with pytest.raises(ValueError, match=r"it names pathlib"):
        list(read_dump(path))
    with pytest.raises(FileNotFoundError):
        list(read_dump(tmp_path / "none.pkl"))
