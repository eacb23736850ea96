"""Synthetic data sets: exact, reproducible, resumable, and readable by everybody's tools."""

import json
import os
import queue
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from densepose_ext.commands.main import main
from densepose_ext.synthetic import workers
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.preview import contact_sheet
from densepose_ext.synthetic.settings import Settings
from densepose_ext.synthetic.workers import run_workers

SMALL = Settings(size=160, seed=5, people=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth")
    generate(out, SMALL, {"train": 4, "val": 2})
    return out


def _contents(folder):
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.mark.slow
def test_pycocotools_and_the_registered_loader_read_it(folder):
    coco = COCO(str(folder / "densepose_train.json"))
    assert len(coco.getImgIds()) == 4
    for annotation in coco.loadAnns(coco.getAnnIds()):
        assert coco.annToMask(annotation).sum() == annotation["area"]
    loader = pytest.importorskip("densepose_ext.data.coco")
    found = loader.load_densepose_coco(
        str(folder / "densepose_train.json"), str(folder / "train"), surface="open"
    )
    assert sum("dp_x" in a for d in found for a in d["annotations"]) > 0
    assert cv2.imread(found[0]["file_name"]).shape == (160, 160, 3)


@pytest.mark.slow
def test_workers_do_not_change_a_byte(folder, tmp_path):
    generate(tmp_path / "two", SMALL, {"train": 4, "val": 2}, workers=2)
    assert _contents(tmp_path / "two") == _contents(folder)


@pytest.mark.slow
def test_workers_leave_others_the_first_turn(tmp_path, monkeypatch):
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    for folder in ("train", ".parts/train"):
        (tmp_path / folder).mkdir(parents=True)
    for _ in run_workers(tmp_path, SMALL, "train", [0], 1):
        (worker,) = started
        assert os.getpriority(os.PRIO_PROCESS, worker) == 19
        assert os.getsid(worker) == os.getsid(0)  # priorities are weighed within a session


@pytest.mark.slow
def test_an_interrupted_run_goes_on(folder, tmp_path):
    out = tmp_path / "part"
    generate(out, SMALL, {"train": 2})
    kept = out / "train" / "000001.jpg"
    stamp = kept.stat().st_mtime_ns
    (out / "densepose_train.json").unlink()
    (out / ".parts" / "train" / "000000.json").unlink()
    generate(out, SMALL, {"train": 4, "val": 2})
    assert kept.stat().st_mtime_ns == stamp
    assert _contents(out) == _contents(folder)


def test_a_worker_that_dies_before_it_reads_is_reported(tmp_path, monkeypatch):
    program = [sys.executable, "-S", "-c", "raise SystemExit('no memory')"]
    monkeypatch.setattr(workers, "command", lambda code: program)
    waiting, finished = queue.SimpleQueue(), queue.SimpleQueue()
    worker = workers._Worker(tmp_path, SMALL, "train", waiting, finished)
    worker._process.wait()
    with pytest.raises(OSError, match="pipe"):
        worker._say("0")
    worker.stop()  # what could not be sent does not matter
    with pytest.raises(RuntimeError, match=r"died \(status 1\): no memory; run again"):
        list(run_workers(tmp_path, SMALL, "train", [0, 1, 2], 2))


@pytest.mark.slow
def test_a_worker_that_dies_is_reported(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "broken.jpg").write_bytes(b"no picture")
    settings = replace(SMALL, backgrounds=str(pictures))
    with pytest.raises(RuntimeError, match=r"broken\.jpg cannot be read .*; run again to resume"):
        generate(tmp_path / "out", settings, {"train": 2}, workers=2)
    cv2.imwrite(str(pictures / "broken.jpg"), np.full((50, 50, 3), 90, np.uint8))
    with pytest.raises(ValueError, match="other settings"):
        generate(tmp_path / "out", replace(settings), {"train": 2}, workers=2)


def test_other_settings_are_refused_in_the_same_folder(folder):
    with pytest.raises(ValueError, match="seed: 5, now 6"):
        generate(folder, replace(SMALL, seed=6), {"train": 4})


@pytest.mark.slow
def test_seed_split_and_number_change_the_image():
    pictures = [
        make_example(SMALL, "train", 0).image,
        make_example(SMALL, "val", 0).image,
        make_example(SMALL, "train", 1).image,
        make_example(replace(SMALL, seed=6), "train", 0).image,
    ]
    for k in range(1, 4):
        assert (pictures[k] != pictures[0]).any()
    np.testing.assert_array_equal(make_example(SMALL, "train", 0).image, pictures[0])


def test_a_set_that_is_made_is_not_written_to(folder):
    (folder / ".lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
    generate(folder, SMALL, {"train": 4, "val": 2})
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]} == before


def test_background_folder(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with pytest.raises(ValueError, match="holds no pictures"):
        Settings(backgrounds=str(pictures))
    with pytest.raises(NotADirectoryError, match="not a folder"):
        Settings(backgrounds=str(tmp_path / "none"))
    green = np.zeros((40, 60, 3), np.uint8)
    green[..., 1] = 200
    cv2.imwrite(str(pictures / "green.png"), green)
    settings = replace(SMALL, backgrounds=str(pictures), people=1)
    example = make_example(settings, "train", 0)
    outside = example.image[example.seen.owner < 0].astype(int)
    assert (outside[:, 1] > outside[:, 0]).mean() > 0.6
    record = settings.record()
    moved = tmp_path / "moved"
    pictures.rename(moved)
    again = replace(SMALL, backgrounds=str(moved), people=1)
    assert again.record() == record
    np.testing.assert_array_equal(make_example(again, "train", 0).image, example.image)


def test_backgrounds_of_any_format(tmp_path):
    Image.new("RGB", (80, 80), (0, 200, 0)).save(tmp_path / "green.gif")  # OpenCV may lack GIF
    example = make_example(replace(SMALL, backgrounds=str(tmp_path), people=1), "train", 0)
    outside = example.image[example.seen.owner < 0].astype(int)
    assert (outside[:, 1] > outside[:, 0]).mean() > 0.6
    (tmp_path / "green.gif").write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match=r"green\.gif cannot be read"):
        make_example(replace(SMALL, backgrounds=str(tmp_path), people=1), "train", 0)


@pytest.mark.parametrize("counts", [("0", "0"), ("-1", "0")])
def test_the_command_does_not_make_nothing(tmp_path, capsys, counts):
    train, val = counts
    out = tmp_path / "out"
    assert main(["synth", "--out", str(out), "--train", train, "--val", val]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{train} " in line
    assert "expected" in line
    assert not out.exists()


def test_bad_arguments_say_what_is_wrong(tmp_path):
    for changes, message in (
        ({"size": 0}, "size is 0; expected 64"),
        ({"people": 0}, "people is 0; expected 1"),
        ({"seed": -1}, "seed is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            Settings(**changes)
    with pytest.raises(ValueError, match="0 workers"):
        generate(tmp_path / "a", SMALL, {"train": 1}, workers=0)
    with pytest.raises(ValueError, match="-1 images of train"):
        generate(tmp_path / "b", SMALL, {"train": -1})
    with pytest.raises(ValueError, match="expected one of train, val"):
        generate(tmp_path / "c", SMALL, {"test": 1})
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        generate(tmp_path / "file" / "out", SMALL, {"train": 1})
    for name, content, message in (
        ("settings.json", "{", r"settings\.json is not JSON"),
        ("settings.json", "[]", r"settings\.json: expected an object, found \[\]"),
        ("densepose_train.json", "{}", r"train\.json has no list of images; delete it"),
    ):
        folder = tmp_path / "damaged"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(SMALL.record()))
        (folder / name).write_text(content)
        with pytest.raises(ValueError, match=message):
            generate(folder, SMALL, {"train": 1})


def test_contact_sheet_has_pictures_and_overlays():
    sheet = contact_sheet(replace(SMALL, size=96), columns=2, rows=1, tile=48)
    assert sheet.shape == (96, 96, 3)
    assert (sheet[:48] != sheet[48:]).any()
