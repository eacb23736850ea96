"""Runs of the command that go on where another one has stopped."""

import json
import os

import pytest
import torch
from PIL import Image

from densepose_ext.files import sole_use
from densepose_ext.files.picture_reader import read_picture
from densepose_ext.prediction import run as run_module
from densepose_ext.prediction import stream
from densepose_ext.prediction.record import RESULTS_FILE
from densepose_ext.prediction.writers import FORMATS
from projects_tests.prediction.runs import files, predict
from projects_tests.tiny_model import tiny_model

pytestmark = pytest.mark.slow

ALL = ",".join([*FORMATS, "json"])


@pytest.mark.parametrize("form", ["iuv", "json"])
def test_a_broken_run_goes_on(tmp_path, folder, weights, monkeypatch, capsys, form):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    arguments = ["--format", f"{form},mask", "--workers", "1"]
    assert predict(weights, folder, "--out", whole, *arguments) == 0

    calls = []

    def write(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_module_write(*given)

    run_module_write = run_module.write_files
    monkeypatch.setattr(run_module, "write_files", write)
    assert predict(weights, folder, "--out", broken, *arguments) == 130
    assert "run the same command to resume" in capsys.readouterr().err
    monkeypatch.undo()
    kept = files(broken)
    assert len(kept) < len(files(whole))

    seen = []
    monkeypatch.setattr(stream, "read_picture", lambda p: seen.append(p) or read_picture(p))
    capsys.readouterr()
    assert predict(weights, folder, "--out", broken, *arguments) == 0
    assert "1 picture done before" in capsys.readouterr().out
    assert len(seen) == 3  # the damaged one is tried again
    now = files(broken)
    assert {name for name in now if not name.endswith("json")} == set(files(whole)) - {RESULTS_FILE}
    assert all(now[name] == content for name, content in kept.items() if name.endswith(".png"))
    if form == "json":
        key = [sorted(json.loads(f[RESULTS_FILE]), key=str) for f in (now, files(whole))]
        assert [len(k) for k in key] == [len(key[1])] * 2


def test_lost_files_and_new_formats_are_made_up_for(tmp_path, folder, weights, capsys):
    out = tmp_path / "out"
    assert predict(weights, folder, "--out", out, "--format", "mask,json") == 0
    before = files(out)
    (out / "a.png_mask.png").unlink()
    capsys.readouterr()
    assert predict(weights, folder, "--out", out, "--format", "mask,json") == 0
    assert "in 1 picture, 2 pictures done before" in capsys.readouterr().out
    after = files(out)
    assert after[RESULTS_FILE] == before[RESULTS_FILE]
    assert after["a.png_mask.png"] == before["a.png_mask.png"]
    assert predict(weights, folder, "--out", out, "--format", "mask,json,parts") == 0
    assert files(out)[RESULTS_FILE] == before[RESULTS_FILE]
    assert (out / "a.png_parts.png").exists()


def test_other_settings_do_not_mix(tmp_path, folder, weights, capsys):
    arguments = [folder / "a.png", "--out", tmp_path / "out", "--format", "mask"]
    assert predict(weights, *arguments) == 0
    other = tmp_path / "other.pth"
    torch.save({"model": tiny_model(seed=1).state_dict()}, other)
    for changed, key in (((str(other),), "model"), ((weights, "--precision", "bf16"), "precision")):
        capsys.readouterr()
        assert predict(changed[0], *arguments, *changed[1:]) == 2
        assert f"is of a run with {key} " in capsys.readouterr().err


def test_pictures_that_were_changed_do_not_pass_for_done(tmp_path, weights, capsys):
    for name, colour in (("one", 50), ("two", 200)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20), (colour, 0, 0)).save(tmp_path / name / "a.png")
    arguments = ["--out", tmp_path / "out", "--format", "mask"]
    assert predict(weights, tmp_path / "one", *arguments) == 0
    assert predict(weights, tmp_path / "two", *arguments) == 2
    assert "has outputs of another a.png than" in capsys.readouterr().err
    (tmp_path / "one").rename(tmp_path / "moved")
    assert predict(weights, tmp_path / "moved", *arguments) == 0
    assert "1 picture done before" in capsys.readouterr().out
    Image.new("RGB", (20, 20), (90, 0, 0)).save(tmp_path / "moved" / "a.png")
    assert predict(weights, tmp_path / "moved", *arguments) == 2
    assert "an earlier version of it" in capsys.readouterr().err


def test_two_runs_into_one_folder_do_not_mix(tmp_path, folder, weights, monkeypatch, capsys):
    monkeypatch.setattr(sole_use, "PATIENCE", 0)
    out = tmp_path / "out"
    with sole_use.sole_use(out):
        assert predict(weights, folder, "--out", out, "--format", "iuv") == 2
    assert f"{out} is in use by process {os.getpid()} on " in capsys.readouterr().err
    assert not files(out)
