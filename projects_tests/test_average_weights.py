"""Averages of checkpoints, by the tool."""

import runpy
import sys

import pytest
import torch

from projects_tests.reference import ROOT


@pytest.fixture
def run(monkeypatch):
    """The tool, in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["average_weights.py", *map(str, arguments)])
        runpy.run_path(str(ROOT / "tools" / "average_weights.py"), run_name="__main__")

    return run


def save(path, value, count=3):
    model = {"a.weight": torch.full((count,), value), "a.steps": torch.tensor(int(value))}
    torch.save({"model": model, "iteration": 1}, path)
    return path


def test_weights_are_averaged(run, tmp_path):
    files = [save(tmp_path / f"{value}.pth", value) for value in (1.0, 5.0)]
    run(tmp_path / "out.pth", files[0], 3, files[1], 1)
    model = torch.load(tmp_path / "out.pth", weights_only=True)["model"]
    assert model["a.weight"].tolist() == [2, 2, 2]
    assert model["a.steps"].item() == 5


@pytest.mark.parametrize(
    ("count", "weights", "error", "message"),
    [
        (4, (1, 1), ValueError, "other.pth: a.weight is of shape (4,), expected (3,) as in"),
        (3, (1, 0), ValueError, "expected positive numbers"),
        (3, (1,), SystemExit, "expected a weight after each file"),
    ],
)
def test_what_cannot_be_averaged_is_refused(run, tmp_path, capsys, count, weights, error, message):
    files = [save(tmp_path / "one.pth", 1.0), save(tmp_path / "other.pth", 2.0, count)]
    given = [x for pair in zip(files, weights) for x in pair] + files[len(weights) :]
    with pytest.raises(error) as raised:
        run(tmp_path / "out.pth", *given)
    assert message in str(raised.value) + capsys.readouterr().err
    assert not (tmp_path / "out.pth").exists()
