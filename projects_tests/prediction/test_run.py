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
from densepose_ext.files import sole_use
from densepose_ext.files.picture_reader import read_picture
from densepose_ext.prediction import run as run_module
from densepose_ext.prediction import stream
from densepose_ext.prediction.choosing import chosen
from densepose_ext.prediction.inputs import find_pictures
from densepose_ext.prediction.record import PICTURES_FILE, RESULTS_FILE
from densepose_ext.prediction.resizing import resized_people
from densepose_ext.prediction.stream import Frame
from densepose_ext.prediction.writers import FORMATS
from projects_tests.tiny_model import CONFIG, tiny_model

pytestmark = pytest.mark.slow

ALL = ",".join([*FORMATS, "json"])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save({"model": tiny_model().state_dict()}, path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Pictures of several kinds, a damaged file, and one that is not a picture."""
    folder = tmp_path / "pictures"
    (folder / "süd ost").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, size in [("a.jpg", (60, 80)), ("a.png", (80, 60)), ("süd ost/人 1.png", (50, 70))]:
        noise = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")
    return folder


def predict(weights, *arguments) -> int:
    fixed = ["--model", CONFIG, "--weights", weights, "--device", "cpu", "--min-score", "0"]
    return main(["predict", *map(str, arguments), *fixed])


def files(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


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


def test_two_runs_into_one_folder_do_not_mix(tmp_path, folder, weights, monkeypatch, capsys):
    monkeypatch.setattr(sole_use, "PATIENCE", 0)
    out = tmp_path / "out"
    with sole_use.sole_use(out):
        assert predict(weights, folder, "--out", out, "--format", "iuv") == 2
    assert f"{out} is in use by process {os.getpid()} on " in capsys.readouterr().err
    assert not files(out)


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
