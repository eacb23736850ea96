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
from pycocotools import mask as rle
from pycocotools.coco import COCO

from densepose_ext.commands.main import main
from densepose_ext.surface.body import COCO_KEYPOINTS
from densepose_ext.surface.parts import FINE_PART_NAMES, FINE_TO_COARSE, FINE_TO_GROUP
from densepose_ext.surface.raster import project
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic import workers
from densepose_ext.synthetic.annotations import part_map
from densepose_ext.synthetic.annotators import MEAN_ERROR, annotate_by_hand
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.preview import contact_sheet
from densepose_ext.synthetic.settings import Settings
from densepose_ext.synthetic.workers import run_workers

SMALL = Settings(size=160, seed=5, people=3)


@pytest.fixture(scope="module")
def surface():
    return BodySurface.load()


@pytest.fixture(scope="module")
def examples():
    return [make_example(SMALL, "train", n) for n in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth")
    generate(out, SMALL, {"train": 4, "val": 2})
    return out


def _contents(folder):
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.mark.slow
def test_points_lie_on_the_surface_that_is_seen(examples, surface):
    count = 0
    for example in examples:
        camera = example.scene.camera
        for annotation in example.annotations:
            if "dp_I" not in annotation:
                continue
            person = example.scene.people[annotation["person"]]
            i, u, v = (np.array(annotation[f"dp_{k}"]) for k in "IUV")
            place = camera.view(surface.points(i, u, v, person.vertices))
            x, y, w, h = annotation["bbox"]
            pixel = np.stack(
                [
                    x + np.array(annotation["dp_x"]) * w / 256,
                    y + np.array(annotation["dp_y"]) * h / 256,
                ],
                1,
            )
            off = project(place, camera.focal, camera.size) - pixel
            metres = np.linalg.norm(off, axis=1) * place[:, 2] / camera.focal
            assert metres.max() < 0.005
            column, row = np.floor(pixel).astype(int).T
            # the place is the one nearest to the camera there: nothing hides an annotated point
            assert (example.seen.owner[row, column] == annotation["person"]).all()
            np.testing.assert_allclose(
                example.seen.bodies[annotation["person"]].depth[row, column],
                place[:, 2], atol=0.02,
            )  # fmt: skip
            count += len(i)
    assert count > 500


def test_points_are_at_most_fourteen_a_part_and_spread(examples):
    for example in examples:
        for annotation in example.annotations:
            if "dp_I" not in annotation:
                continue
            coarse = FINE_TO_COARSE[annotation["dp_I"]]
            assert np.bincount(coarse).max() <= 14
            places = set(zip(annotation["dp_x"], annotation["dp_y"]))
            assert len(places) == len(coarse)
            seen = [bool(m) for m in annotation["dp_masks"]]
            assert {k + 1 for k, there in enumerate(seen) if there} >= set(coarse)


def test_masks_boxes_and_keypoints_agree(examples):
    for example in examples:
        for annotation in example.annotations:
            mask = rle.decode(annotation["segmentation"])
            assert mask.sum() == annotation["area"]
            x, y, w, h = annotation["bbox"]
            assert mask[y : y + h, x : x + w].sum() == mask.sum()
            points = np.array(annotation["keypoints"]).reshape(17, 3)
            assert (points[:, 2] > 0).sum() == annotation["num_keypoints"]
            assert (points[points[:, 2] == 0] == 0).all()
            for px, py, visibility in points:
                if visibility == 2:
                    assert mask[py, px]
            masks = [rle.decode(m) for m in annotation.get("dp_masks", []) if m]
            assert all(m.shape == (256, 256) for m in masks)
            if masks:
                assert np.sum(masks, 0).max() == 1


def test_clothes_are_recorded(examples):
    found = []
    for example in examples:
        for annotation in example.annotations:
            words = annotation["clothing"]
            kinds = {cover.kind for cover in example.scene.people[annotation["person"]].covers}
            assert ("skirt" in kinds) == any("skirt" in word for word in words)
            assert ("brim" in kinds) == ("cap" in words)
            assert ("tight" in words) != ("loose" in words)
            found += words
    assert {"short sleeves", "long sleeves", "trousers", "tight", "loose"} <= set(found)


def test_left_keypoints_lie_on_left_parts(examples, surface):
    right_side = []
    for example in examples:
        for annotation in example.annotations:
            parts = part_map(example.seen, surface, annotation["person"])
            points = np.array(annotation["keypoints"]).reshape(17, 3)
            for name, (x, y, visibility) in zip(COCO_KEYPOINTS, points):
                part = FINE_PART_NAMES[parts[y, x]]
                if visibility == 2 and name != "nose" and "torso" not in part and parts[y, x]:
                    right_side.append(name.split("_")[0] in part)
    assert len(right_side) > 60
    assert np.mean(right_side) > 0.85  # a hand or hair may lie before the joint


@pytest.mark.slow
def test_backs_are_as_frequent_as_fronts():
    front = 0
    for n in range(30):
        example = make_example(replace(SMALL, size=64), "val", n)
        person = example.scene.people[0]
        front += person.placement[1, 1] > 0  # the body's own -y points towards the camera
    assert 8 <= front <= 22


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


def test_dense_truth_agrees_with_the_points(tmp_path):
    generate(tmp_path, replace(SMALL, dense=True), {"train": 1})
    iuv = cv2.imread(str(tmp_path / "dense/train/000000_iuv.png"))[:, :, ::-1]
    person = cv2.imread(str(tmp_path / "dense/train/000000_person.png"), cv2.IMREAD_UNCHANGED)
    depth = cv2.imread(str(tmp_path / "dense/train/000000_depth.png"), cv2.IMREAD_UNCHANGED)
    bodies = np.load(tmp_path / "dense/train/000000_bodies.npz")
    annotations = json.loads((tmp_path / "densepose_train.json").read_text())["annotations"]
    assert len(bodies["coefficients"]) == len(annotations) == person.max()
    assert depth.dtype == np.uint16
    for place, annotation in enumerate(annotations, start=1):
        assert (person == place).sum() == annotation["area"]
        x, y, w, h = annotation["bbox"]
        column = (x + np.array(annotation.get("dp_x", [])) * w / 256).astype(int)
        row = (y + np.array(annotation.get("dp_y", [])) * h / 256).astype(int)
        np.testing.assert_array_equal(iuv[row, column, 0], annotation.get("dp_I", []))
        np.testing.assert_allclose(iuv[row, column, 1] / 255, annotation["dp_U"], atol=0.003)
        assert (depth[row, column] > 0).all()
        target = cv2.imread(str(tmp_path / annotation["dp_iuv"]))[:, :, ::-1]
        is_own = person[y : y + h, x : x + w, None] == place
        np.testing.assert_array_equal(target, iuv[y : y + h, x : x + w] * is_own)


def test_bodies_can_be_posed_again_from_their_parameters(tmp_path):
    body = BodySurface.load().body
    generate(tmp_path, replace(SMALL, dense=True), {"train": 1})
    bodies = np.load(tmp_path / "dense/train/000000_bodies.npz")
    rest, joints = body.shape(bodies["coefficients"])
    posed, _ = body.pose(rest, joints, bodies["rotations"].astype(float))
    placed = posed @ bodies["placement"][:, :, :3].transpose(0, 2, 1)
    placed += bodies["placement"][:, None, :, 3]
    scene = make_example(SMALL, "train", 0)
    wanted = [scene.scene.people[a["person"]].skin for a in scene.annotations]
    np.testing.assert_allclose(placed, wanted, atol=1e-4)


@pytest.mark.slow
def test_human_errors_have_the_measured_size(examples, surface):
    rng = np.random.default_rng(0)
    errors = {group: [] for group in range(1, 9)}
    exact = [a for e in examples for a in e.annotations if "dp_I" in a]
    dropped = 0
    for annotation in exact:
        for _ in range(3):
            human = annotate_by_hand(rng, annotation, surface)
            dropped += len(human["dp_I"]) < len(annotation["dp_I"])
            index = {p: k for k, p in enumerate(zip(annotation["dp_x"], annotation["dp_y"]))}
            at = [index[p] for p in zip(human["dp_x"], human["dp_y"])]
            before = [np.array(annotation[f"dp_{k}"])[at] for k in "IUV"]
            after = [np.array(human[f"dp_{k}"]) for k in "IUV"]
            assert (FINE_TO_COARSE[before[0]] == FINE_TO_COARSE[after[0]]).all()
            off = np.linalg.norm(surface.points(*before) - surface.points(*after), axis=1)
            for group, error in zip(FINE_TO_GROUP[before[0]], off):
                errors[group].append(error)
    assert dropped > 0
    for group, found in errors.items():
        if len(found) > 150:
            assert np.mean(found) == pytest.approx(MEAN_ERROR[group], rel=0.3), group


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


def test_more_points_on_the_same_people():
    few, many = (make_example(Settings(size=160, points=count), "val", 3) for count in (5, 40))
    assert len(few.annotations) == len(many.annotations)
    for one, other in zip(few.annotations, many.annotations):
        assert one["bbox"] == other["bbox"]
        if "dp_I" in one:
            coarse = FINE_TO_COARSE[np.array(one["dp_I"])]
            assert np.bincount(coarse).max() <= 5
            assert len(other["dp_I"]) > len(one["dp_I"])


@pytest.mark.parametrize("points", [0, 101])
def test_a_senseless_number_of_points(points):
    with pytest.raises(ValueError, match=f"points is {points}"):
        Settings(points=points)
