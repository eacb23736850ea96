"""Whole runs of the command, with a tiny random model."""

import json
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from densepose_ext import DensePosePredictor, People, get_config_file
from densepose_ext.commands.main import main
from densepose_ext.evaluation.results import Results
from densepose_ext.files.picture_reader import read_picture
from densepose_ext.prediction import run as run_module
from densepose_ext.prediction import stream
from densepose_ext.prediction.choosing import chosen
from densepose_ext.prediction.inputs import find_pictures
from densepose_ext.prediction.record import PICTURES_FILE, RESULTS_FILE
from densepose_ext.prediction.resizing import resized_people
from densepose_ext.prediction.stream import Frame
from densepose_ext.prediction.writers import FORMATS
from projects_tests.prediction.runs import files, predict
from projects_tests.tiny_model import CONFIG

pytestmark = pytest.mark.slow

ALL = ",".join([*FORMATS, "json"])


def test_everything(tmp_path, folder, weights, capsys):
    out = tmp_path / "out"
    assert predict(weights, folder, "--out", out, "--format", ALL) == 0
    captured = capsys.readouterr()
    assert captured.err.count(f"unreadable: {folder}/broken.jpg: ") == 1
    assert captured.err.count("broken.jpg") == 1
    assert "in 3 pictures, 1 unreadable, 1 other file skipped" in captured.out
    endings = [ending for form in FORMATS.values() for ending in form.endings]
    names = ["a.jpg", "a.png", "süd ost/人 1"]
    expected = {name + ending for name in names for ending in endings}
    assert set(files(out)) == expected | {RESULTS_FILE, PICTURES_FILE}

    predictor = DensePosePredictor(CONFIG, weights, "cpu", min_score=0)
    results = Results.read(out / RESULTS_FILE)
    lines = [json.loads(line) for line in (out / PICTURES_FILE).read_text().splitlines()][1:]
    for line in lines:
        if line["file_name"] == "broken.jpg":
            assert "error" in line
            continue
        picture = read_picture(folder / line["file_name"])
        people = predictor(picture)
        assert (line["height"], line["width"], line["people"]) == (*people.size, len(people))
        name = line["file_name"] if line["file_name"][0] == "a" else "süd ost/人 1"
        iuv = np.asarray(Image.open(out / f"{name}_iuv.png"))
        assert np.array_equal(iuv, people.to_iuv())
        instances = np.asarray(Image.open(out / f"{name}_instances.png"))
        assert np.array_equal(instances, people.to_index())
        mask = cv2.imread(str(out / f"{name}_mask.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(mask, np.where(people.to_index() > 0, 255, 0))
        with np.load(out / f"{name}_vertices.npz") as arrays:
            assert np.array_equal(arrays["vertices"], people.to_vertices())
        with np.load(out / f"{name}_people.npz") as arrays:
            again = People.from_arrays(arrays)
        assert all(torch.equal(a.result.uv, b.result.uv) for a, b in zip(again, people))
        for ending in ("_overlay.jpg", "_parts.png", "_u.png", "_v.png"):
            assert read_picture(out / f"{name}{ending}").shape == picture.shape
        assert results.by_image[line["id"]] == people.to_json(line["id"])
    assert len(results) == sum(line.get("people", 0) for line in lines) > 3


def test_iuv_for_opencv(tmp_path, folder, weights):
    for out, more in (("rgb", []), ("bgr", ["--bgr"])):
        arguments = [folder / "a.png", "--out", tmp_path / out, "--format", "iuv", *more]
        assert predict(weights, *arguments) == 0
    rgb, bgr = (cv2.imread(str(tmp_path / out / "a_iuv.png")) for out in ("rgb", "bgr"))
    assert np.array_equal(rgb, bgr[..., ::-1])
    assert 0 < bgr[..., 0].max() <= 24


def test_videos_among_pictures_are_left_out_and_counted(tmp_path, weights, capsys):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    (tmp_path / "b.mp4").write_bytes(b"film")
    inputs = [tmp_path / "a.png", tmp_path / "b.mp4"]
    assert predict(weights, *inputs, "--out", tmp_path / "out", "--format", "mask") == 0
    printed = capsys.readouterr()
    assert "1 other file skipped" in printed.out
    assert f"skipped: {inputs[1]} is a video" in printed.err
    assert predict(weights, inputs[1], "--out", tmp_path / "out", "--format", "mask") == 2
    assert "is a video: densepose-ext video" in capsys.readouterr().err


def test_image_ids_of_a_dataset(tmp_path, folder, weights, capsys):
    images = [{"id": 785, "file_name": "a.png"}, {"id": 9, "file_name": "a.jpg"}]
    (tmp_path / "gt.json").write_text(json.dumps({"images": images}))
    more = ["--format", "json", "--image-ids", tmp_path / "gt.json"]
    out = tmp_path / "out"
    assert predict(weights, folder / "a.jpg", folder / "a.png", "--out", out, *more) == 0
    assert set(Results.read(out / RESULTS_FILE).by_image) == {9, 785}
    capsys.readouterr()
    assert predict(weights, folder, "--out", out, *more) == 2
    assert "has no image 'broken.jpg'; it lacks 2 of 4 pictures" in capsys.readouterr().err


def test_a_list_on_the_standard_input(tmp_path, folder, weights, monkeypatch):
    lines = iter([f"{folder}/a.png\n", f"{folder}/süd ost\n"])
    monkeypatch.setattr("sys.stdin", lines)
    assert predict(weights, "-", "--out", tmp_path / "out", "--format", "mask") == 0
    assert {"a_mask.png", "人 1_mask.png"} < set(files(tmp_path / "out"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing here"], "no picture could be read"),
        (["empty"], r"no pictures in empty (0 other files)"),
        (["a.png", "--format", "iuv,nonsense"], "format 'nonsense'; expected some of iuv"),
        (["a.png", "--format", ""], "an empty word after --format"),
        (["a.png", "--format", "iuv,"], "--format 'iuv,': expected names with a comma between"),
        (["a.png", "--batch", "0"], "batch = 0, expected 1 or more"),
        (["a.png", "--machine-rank", "1"], "machine rank 1, expected 0 to 0"),
        (["a.png", "--num-machines", "2"], "tcp://HOST:PORT"),
        (["a.png", "--format", "json", "--image-ids", "a.png"], "a.png is not JSON"),
        (["a.png", "--image-ids", "a.png"], "--image-ids goes with --format json"),
        (["a.png", "--bgr"], "--bgr goes with --format iuv"),
        (["a.png", "--surface", "smpl"], "--surface goes with --format vertices"),
        (["a.png", "--size", "100000x100000"], "expected 268,435,456 pixels or fewer"),
        (["a.png", "--format", "vertices", "--surface", "x"], "no surface 'x'"),
        ([".", "--out", "."], "cannot hold both the pictures and the outputs"),
        (["a.png", "--out", "a.png"], "a.png"),
        (["a.png", "--out", "/proc/nowhere"], "/proc/nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path, weights, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (20, 20)).save("a.png")
    (tmp_path / "empty").mkdir()
    out = [] if "--out" in arguments else ["--out", "out"]
    form = [] if "--format" in arguments else ["--format", "mask"]
    assert predict(weights, *arguments, *out, *form) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("densepose-ext predict: ")
    assert message in last


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path, folder, weights, capsys):
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    assert predict(weights, folder, "--out", out) == 2
    assert str(out) in capsys.readouterr().err


def test_nobody_and_one_pixel(tmp_path, weights):
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    out = tmp_path / "out"
    fixed = ["--model", CONFIG, "--weights", weights, "--device", "cpu", "--min-score", "1"]
    given = [str(tmp_path / "one.png"), "--out", str(out), "--format", ALL]
    assert main(["predict", *given, *fixed]) == 0
    assert json.loads((out / RESULTS_FILE).read_bytes()) == []
    assert np.asarray(Image.open(out / "one_iuv.png")).tolist() == [[[0, 0, 0]]]


def test_two_hundred_people(tmp_path, weights):
    """In one picture: all formats, each person with a number and an entry."""
    predictor = DensePosePredictor(CONFIG, weights, "cpu", min_score=0)
    random = np.random.default_rng(0)
    one = predictor(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))[0]
    people = People([], (300, 400))
    for n in range(200):
        corner = np.array([n % 20 * 19, n // 20 * 29], np.float32)
        h, w = one.result.labels.shape
        box = np.concatenate([corner, corner + (w, h)])
        people.append(type(one)(box, 1 - n / 1000, one.result))
    contents = {
        name: form.contents(np.zeros((300, 400, 3), np.uint8), people, run_module.Options())
        for name, form in FORMATS.items()
    }
    index = cv2.imdecode(np.frombuffer(contents["iuv"][1], np.uint8), cv2.IMREAD_UNCHANGED)
    assert index.dtype == np.uint8
    assert index.max() == 200
    entries = people.to_json(1)
    assert len(entries) == 200
    assert len(People.from_json(entries, people.size)) == 200


def test_a_large_picture(tmp_path, weights):
    Image.effect_noise((80, 60), 99).resize((8000, 6000)).save(tmp_path / "large.jpg", quality=50)
    config = tmp_path / "one_person.yaml"
    base = get_config_file(CONFIG)
    config.write_text(f"_BASE_: {base}\nTEST:\n  DETECTIONS_PER_IMAGE: 1\n")
    out = tmp_path / "out"
    fixed = ["--out", str(out), "--model", str(config), "--weights", weights, "--device", "cpu"]
    more = ["--min-score", "0", "--format", "mask"]
    assert main(["predict", str(tmp_path / "large.jpg"), *fixed, *more]) == 0
    assert Image.open(out / "large_mask.png").size == (8000, 6000)


def test_several_machines(tmp_path, folder, weights):
    shutil.copytree(folder, tmp_path / "more" / "again")
    one, two = tmp_path / "one", tmp_path / "two"
    given = [folder, tmp_path / "more", "--format", "mask,json"]
    assert predict(weights, *given, "--out", one) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    machines = ["--num-machines", "2", "--dist-url", url, "--machine-rank"]
    with ThreadPoolExecutor(2) as pool:
        codes = pool.map(lambda k: predict(weights, *given, "--out", two, *machines, k), (0, 1))
        assert list(codes) == [0, 0]
    assert set(files(one)) == set(files(two))
    results = [json.loads((out / RESULTS_FILE).read_bytes()) for out in (one, two)]
    a, b = (sorted((e["image_id"], round(e["score"], 3)) for e in r) for r in results)
    assert a == b


def test_memory_stays_flat(tmp_path, folder, weights, monkeypatch):
    """However many pictures there are, few of them are in memory."""
    alive, most = set(), []

    class Counted(Frame):
        def __init__(self, *given):
            super().__init__(*given)
            alive.add(id(self))
            most.append(len(alive))

        def __del__(self):
            alive.discard(id(self))

    monkeypatch.setattr(stream, "Frame", Counted)
    many = tmp_path / "many"
    many.mkdir()
    for n in range(40):
        shutil.copy(folder / "a.png", many / f"{n}.png")
    assert len(find_pictures([str(many)])) == 40
    assert predict(weights, many, "--out", tmp_path / "out", "--format", "mask") == 0
    assert len(most) == 40
    assert max(most) <= 8


def test_masks_of_parts(tmp_path, folder, weights, capsys):
    fixed = ["--model", CONFIG, "--weights", weights, "--device", "cpu", "--min-score", "0"]
    predictor = DensePosePredictor(CONFIG, weights, "cpu", min_score=0)
    people = predictor(folder / "a.png")
    parts = np.unique(people.to_iuv()[..., 0])
    wanted = ",".join(map(str, parts[1:3]))
    picture, out = str(folder / "a.png"), str(tmp_path / "out")
    assert main(["masks", picture, "--out", out, "--parts", wanted, *fixed]) == 0
    mask = cv2.imread(f"{out}/a_mask.png", cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask > 0, np.isin(people.to_iuv()[..., 0], parts[1:3]))
    capsys.readouterr()
    assert main(["masks", picture, "--out", out, "--parts", "hair", *fixed]) == 2
    assert "no part 'hair'" in capsys.readouterr().err
    assert main(["masks", picture, "--out", out, "--parts", "head", *fixed]) == 2
    assert "is of a run with parts" in capsys.readouterr().err
    grown = str(tmp_path / "grown")
    assert main(["masks", picture, "--out", grown, "--parts", wanted, "--grow", "2", *fixed]) == 0
    larger = cv2.imread(f"{grown}/a_mask.png", cv2.IMREAD_UNCHANGED)
    assert (larger >= mask).all()
    rows, columns = np.nonzero(mask)
    row, column = np.indices(mask.shape).reshape(2, -1, 1)
    away = np.hypot(row - rows, column - columns).min(1).reshape(mask.shape)
    assert np.array_equal(larger > 0, away <= 2)
    arguments = ["masks", picture, "--out", str(tmp_path / "all"), "--parts", wanted, *fixed]
    assert main([*arguments, "--grow", "1000000"]) == 0
    assert cv2.imread(f"{tmp_path}/all/a_mask.png", cv2.IMREAD_UNCHANGED).all()


def test_a_preset(tmp_path, folder, weights, capsys):
    out = tmp_path / "out"
    arguments = [folder / "a.png", "--out", out, "--preset", "smpl-texture", "--size", "30x50"]
    assert predict(weights, *arguments) == 0
    people = DensePosePredictor(CONFIG, weights, "cpu", min_score=0)(folder / "a.png")
    people = resized_people(chosen(people, "largest"), (50, 30))
    assert np.array_equal(cv2.imread(str(out / "a_IUV.png")), people.to_iuv())
    assert predict(weights, *arguments[:-1], "30") == 2
    assert "--size 30: expected WxH in pixels" in capsys.readouterr().err


def test_labels_and_people_in_another_size(tmp_path, folder, weights):
    out = tmp_path / "out"
    more = ["--format", "labels,json,overlay", "--size", "30x50", "--person", "centre"]
    assert predict(weights, folder / "a.png", "--out", out, *more) == 0
    people = DensePosePredictor(CONFIG, weights, "cpu", min_score=0)(folder / "a.png")
    people = resized_people(chosen(people, "centre"), (50, 30))
    assert np.array_equal(np.load(out / "a_labels.npy"), people.to_iuv()[..., 0])
    assert read_picture(out / "a_overlay.jpg").shape == (50, 30, 3)
    assert json.loads((out / RESULTS_FILE).read_text()) == people.to_json(1)
