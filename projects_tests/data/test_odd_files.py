"""Files as labelling tools write them: what is filled in, what is left out, what is an error."""

import copy
import gzip
import json
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from densepose_ext.data import load_densepose_coco, read_annotations
from densepose_ext.data.annotations import has_densepose
from densepose_ext.data.picture_files import check_pictures, picture_path, picture_size
from densepose_ext.evaluation.instances import coco_content, image_numbers
from densepose_ext.evaluation.people import GroundTruth
from projects_tests.tiny_dataset import make_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("tools"), images=2, size=(96, 120)).parent


@pytest.fixture(scope="module")
def good(folder):
    return json.loads((folder / "annotations.json").read_text())


def people_of(path, root) -> list[list]:
    """The ids of the people in training, in evaluation and for pycocotools, and who is dense."""
    trained = load_densepose_coco(str(path), str(root), surface="open")
    truth = GroundTruth(read_annotations(path, root))
    in_training = [(p["id"], has_densepose(p)) for im in trained for p in im["annotations"]]
    in_evaluation = [(p.id, p.has_points) for key in truth.images for p in truth.people(key)]
    assert sorted(in_training, key=str) == sorted(in_evaluation, key=str)
    assert len(coco_content(read_annotations(path, root))["annotations"]) == len(in_training)
    return in_training


def first(**keys):
    return lambda content: content["annotations"][0].update(keys)


def every(kind, **keys):
    """All records of a kind with other values; a function gets the record."""

    def change(content):
        for record in content[kind]:
            for key, value in keys.items():
                record[key] = value(record) if callable(value) else value

    return change


def points(**keys):
    """A value of the first person's points changed: key -> (index, value)."""

    def change(content):
        for key, (index, value) in keys.items():
            content["annotations"][0][key][index] = value

    return change


def several(*changes):
    return lambda content: [change(content) for change in changes] and None


def duplicate(kind):
    return lambda content: content[kind].append(copy.deepcopy(content[kind][0]))


ROBOFLOW = [{"id": 0, "name": "people", "supercategory": "none"}, {"id": 1, "name": "person"}]
RLE = {"size": [96, 120], "counts": [10, 60, 11450]}

#: Nobody is left out.
MADE_GOOD = {
    "category ids from 0": several(every("categories", id=0), every("annotations", category_id=0)),
    "an unused category before": lambda content: content.update(categories=ROBOFLOW),
    "ids as strings": several(
        every("images", id=lambda r: str(r["id"])),
        every("annotations", id=lambda r: str(r["id"]), image_id=lambda r: str(r["image_id"])),
    ),
    "image ids as strings in images alone": every("images", id=lambda r: f"{r['id']:06d}"),
    "image ids that are names": several(
        every("images", id=lambda r: f"frame_{r['id']}"),
        every("annotations", image_id=lambda r: f"frame_{r['image_id']}"),
    ),
    "category ids as strings": several(
        every("categories", id="1"), every("annotations", category_id="1")
    ),
    "ids as floats": every("annotations", image_id=lambda r: float(r["image_id"])),
    "all numbers as strings": every(
        "annotations",
        bbox=lambda r: [str(value) for value in r["bbox"]],
        area=lambda r: str(r["area"]),
        iscrowd="0",
        dp_x=lambda r: [str(value) for value in r["dp_x"]],
        keypoints=lambda r: [str(value) for value in r["keypoints"]],
    ),
    "sizes as strings": every("images", width="120", height="96"),
    "no sizes": every("images", width=None, height=None),
    "the same image twice": duplicate("images"),
    "no annotation ids": every("annotations", id=None),
    "one id for all annotations": every("annotations", id=7),
    "back-slashes": every("images", file_name=lambda r: ".\\" + r["file_name"]),
    "a path of Windows": every("images", file_name=lambda r: "C:\\data\\" + r["file_name"]),
    "an absolute path of another machine": every(
        "images", file_name=lambda r: "/home/somebody/data/" + r["file_name"]
    ),
    "no masks": every("annotations", segmentation=[]),
    "masks as lists of runs": every("annotations", segmentation=RLE),
    "keypoints of another number": first(keypoints=[1, 2, 2]),
    "NaN as area": first(area=float("nan")),
    "a crowd as a boolean": first(iscrowd=False),
    "null part masks": first(dp_masks=None),
}

#: The first person's dense pose is left out, but not the person.
WITHOUT_POINTS = {
    "13 part masks": first(dp_masks=[[]] * 13),
    "more x than y": lambda content: content["annotations"][0]["dp_x"].append(1),
    "part 25": points(dp_I=(3, 25)),
    "U of 1.2": points(dp_U=(3, 1.2)),
    "a null among the points": points(dp_V=(3, None)),
    "null points": first(dp_x=None, dp_y=None, dp_I=None, dp_U=None, dp_V=None),
    "no points": first(dp_x=[], dp_y=[], dp_I=[], dp_U=[], dp_V=[]),
    "a word among the points": points(dp_U=(3, "left")),
}

#: The first person is left out.
LEFT_OUT = {
    "NaN in a box": first(bbox=[float("nan"), 1, 2, 3]),
    "a negative box": first(bbox=[10, 10, -5, 20]),
    "a box of two corners beyond": first(bbox=[130, 100, 20, 20]),
    "an unknown image": first(image_id=999999),
    "an unknown category": first(category_id=3),
    "no box": first(bbox=None),
    "a crowd of two": first(iscrowd=2),
}

STOPS = {
    "info only": (lambda content: [content.pop(key) for key in list(content)], "no list"),
    "no annotations": (lambda content: content["annotations"].clear(), "no annotation has usable"),
    "two images of one id": (
        lambda content: content["images"][1].update(id=1), "two images have the id 1"
    ),
    "two categories of one id": (
        lambda content: content["categories"].append({"id": 1, "name": "dog"}),
        "two categories have the id 1",
    ),
    "a picture that is not there, without a size": (
        lambda content: content["images"][1].update(width=None, file_name="none.jpg"),
        r"images\[1\] has no 'width', and its picture .*none\.jpg cannot be read",
    ),
}  # fmt: skip


def written(folder, content):
    path = folder / "odd.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("case", MADE_GOOD)
def test_what_can_be_filled_in_loses_nobody(folder, good, tmp_path, case):
    content = copy.deepcopy(good)
    MADE_GOOD[case](content)
    path = written(tmp_path, content)
    people = people_of(path, folder)
    assert [dense for _, dense in people] == [True] * 4
    assert len({key for key, _ in people}) == 4
    file = read_annotations(path, folder)
    assert all(os.path.isfile(image["path"]) for image in file.images.values())
    assert all((im["width"], im["height"]) == (120, 96) for im in file.images.values())
    assert all(person["area"] > 0 for person in file.people)
    assert all(type(number) is int for number in image_numbers(file).values())


@pytest.mark.parametrize("name", [r"C:\data\day 1\a.jpg", "/home/somebody/data/day 1/a.jpg"])
def test_a_path_of_another_machine_keeps_its_folders(tmp_path, name):
    for day in ("day 1", "day 2"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "a.jpg").touch()
    assert picture_path(str(tmp_path), name) == str(tmp_path / "day 1" / "a.jpg")


@pytest.mark.parametrize("case", WITHOUT_POINTS)
def test_a_dense_pose_is_left_out(folder, good, tmp_path, case, caplog):
    content = copy.deepcopy(good)
    WITHOUT_POINTS[case](content)
    people = people_of(written(tmp_path, content), folder)
    assert people == [(1, False), (2, True), (3, True), (4, True)]
    assert case == "null points" or "annotation 1 of image 1: " in caplog.text


@pytest.mark.parametrize("case", LEFT_OUT)
def test_a_person_is_left_out(folder, good, tmp_path, case, caplog):
    content = copy.deepcopy(good)
    LEFT_OUT[case](content)
    people = people_of(written(tmp_path, content), folder)
    assert people == [(2, True), (3, True), (4, True)]
    assert "left out 1 annotations that cannot be used; the first is annotation 1" in caplog.text


@pytest.mark.parametrize("case", STOPS)
def test_one_error_names_the_file(folder, good, tmp_path, case):
    change, message = STOPS[case]
    content = copy.deepcopy(good)
    change(content)
    with pytest.raises(ValueError, match=rf"odd\.json.*{message}"):
        GroundTruth(read_annotations(written(tmp_path, content), folder))


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: gzip.compress(text.encode()),
    ],
    ids=["byte order mark", "UTF-16", "gzip"],
)
def test_files_of_any_encoding_are_read(folder, good, tmp_path, encode):
    path = tmp_path / "odd.json"
    path.write_bytes(encode(json.dumps(good)))
    assert len(people_of(path, folder)) == 4
    path.write_bytes(gzip.compress(b"{")[:-4])
    with pytest.raises(ValueError, match=r"odd\.json is not JSON"):
        read_annotations(path)


def test_the_home_folder_is_expanded(folder, good, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, good)
    assert len(read_annotations("~/odd.json").people) == 4


def test_a_missing_file_of_a_dataset_is_said_to_be_looked_for_there(tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "datasets"))
    with pytest.raises(FileNotFoundError, match=r"gt\.json: no such .*\$DETECTRON2_DATASETS"):
        read_annotations(tmp_path / "datasets" / "coco" / "gt.json")
    with pytest.raises(FileNotFoundError, match=r"gt\.json: no such annotation file$"):
        read_annotations(tmp_path / "gt.json")


def test_a_file_is_read_once_while_it_is_in_use(folder):
    file = read_annotations(folder / "annotations.json", folder)
    assert read_annotations(folder / "annotations.json", folder) is file
    assert read_annotations(folder / "annotations.json") is not file


def test_areas_are_those_of_masks_then_of_boxes(folder, good, tmp_path):
    content = copy.deepcopy(good)
    every("annotations", area=None)(content)
    first(segmentation=RLE)(content)
    content["annotations"][1]["segmentation"] = []
    people = read_annotations(written(tmp_path, content), folder).people
    assert people[0]["area"] == 60
    assert people[1]["area"] == people[1]["bbox"][2] * people[1]["bbox"][3]


def test_turned_pictures_have_the_size_that_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "turned.jpg", exif=exif)
    assert picture_size(str(tmp_path / "turned.jpg")) == (30, 40)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "1", "P"])
def test_pictures_of_any_mode_pass_the_check(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode in ("L", "CMYK") else "a.png")
    Image.new(mode, (40, 30)).save(path)
    check_pictures([{"file_name": str(path), "width": 40, "height": 30}], "dataset")


def test_truncated_pictures_do_not_pass_the_check(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    for suffix in (".jpg", ".png"):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(cv2.imencode(suffix, noise)[1].tobytes()[:-900])
        with pytest.raises(ValueError, match=r"1 of 1 pictures .*cut\S+ cannot be read"):
            check_pictures([{"file_name": str(path), "width": 40, "height": 30}], "dataset")
