"""Averages of checkpoints, by the tool."""

import subprocess
import sys

import pytest
import torch

from projects_tests.reference import ROOT


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "tools/average_weights.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def save(path, value, count=3):
    model = {"a.weight": torch.full((count,), value), "a.steps": torch.tensor(int(value))}
    torch.save({"model": model, "iteration": 1}, path)
    return path


@pytest.mark.slow
def test_weights_are_averaged(tmp_path):
    files = [save(tmp_path / f"{value}.pth", value) for value in (1.0, 5.0)]
    done = run(tmp_path / "out.pth", files[0], 3, files[1], 1)
    assert done.returncode == 0, done.stderr
    model = torch.load(tmp_path / "out.pth", weights_only=True)["model"]
    assert model["a.weight"].tolist() == [2, 2, 2]
    assert model["a.steps"].item() == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "weights", "message"),
    [
        (4, (1, 1), "the models differ in a.weight"),
        (3, (1, 0), "expected positive numbers"),
        (3, (1,), "expected a weight after each file"),
    ],
)
def test_what_cannot_be_averaged_is_refused(tmp_path, count, weights, message):
    files = [save(tmp_path / "one.pth", 1.0), save(tmp_path / "other.pth", 2.0, count)]
    given = [x for pair in zip(files, weights) for x in pair]
    given += files[len(weights) :]
    done = run(tmp_path / "out.pth", *given)
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "out.pth").exists()
