"""Reading and registering datasets: what is kept, what is left out, and what is logged."""

import copy
import json
import logging

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.transforms import ResizeTransform
from detectron2.structures import BoxMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from densepose_ext.data import load_densepose_coco, register_densepose_coco
from densepose_ext.data.annotations import has_densepose
from densepose_ext.data.rle import paint_part_masks, painted_map
from projects_tests.tiny_dataset import make_dataset, make_person

IMAGE = {"id": 5, "file_name": "a/b.jpg", "height": 120, "width": 160}
RLE = {"size": [120, 160], "counts": [160 * 120 - 7, 7]}


def person(number: int = 1, *, dense: bool = True, **changes) -> dict:
    """A valid annotation with the given keys changed; None removes a key."""
    record = make_person(np.random.default_rng(number), number, IMAGE, dense) | changes
    return {key: value for key, value in record.items() if value is not None}


@pytest.fixture
def load(tmp_path):
    """Writes a COCO file and loads it: ``load(people, **arguments of load_densepose_coco)``."""

    def load(people, *, images=(IMAGE,), categories=((1, "person"),), kept=None, **arguments):
        path = tmp_path / "annotations.json"
        contents = {
            "images": list(images),
            "annotations": list(people),
            "categories": [{"id": number, "name": name} for number, name in categories],
        }
        path.write_text(json.dumps(contents))
        return load_densepose_coco(
            str(path), str(tmp_path / "images"), surface="smpl", categories=kept, **arguments
        )

    return load


def warnings_in(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.fixture
def dataset_name():
    name = "densepose_ext_test_coco"
    yield name
    if name in DatasetCatalog:
        DatasetCatalog.remove(name)
    if name in MetadataCatalog.list():
        MetadataCatalog.remove(name)


def test_boxes_of_whole_numbers_are_not_kept_whole(load):
    (image,) = load([{**person(), "bbox": [10, 20, 30, 40]}])
    (found,) = image["annotations"]
    boxes = np.array([BoxMode.convert(found["bbox"], BoxMode.XYWH_ABS, BoxMode.XYXY_ABS)])
    half = ResizeTransform(120, 160, 45, 61).apply_box(boxes)
    np.testing.assert_allclose(half, [[3.8125, 7.5, 15.25, 22.5]])


def test_a_record_has_the_form_of_detectron2(load, tmp_path, caplog):
    annotation = person()
    (image,) = load([annotation])
    assert {key: image[key] for key in ("height", "width", "image_id", "surface")} == {
        "height": 120,
        "width": 160,
        "image_id": 5,
        "surface": "smpl",
    }
    assert image["file_name"] == str(tmp_path / "images" / "a/b.jpg")
    (found,) = image["annotations"]
    assert found["bbox"] == annotation["bbox"]
    assert found["bbox_mode"] == BoxMode.XYWH_ABS
    assert (found["category_id"], found["iscrowd"], found["id"]) == (0, 0, 1)
    assert found["segmentation"] == annotation["segmentation"]
    # COCO's keypoints are pixel numbers, Detectron2's have pixel centres at +0.5.
    expected = np.array(annotation["keypoints"]).reshape(17, 3) + [0.5, 0.5, 0]
    np.testing.assert_array_equal(np.reshape(found["keypoints"], (17, 3)), expected)
    np.testing.assert_array_equal(found["dp_x"], np.float32(annotation["dp_x"]))
    assert found["dp_I"].dtype == np.float32
    painted = paint_part_masks(annotation["dp_masks"])
    np.testing.assert_array_equal(painted_map(found["dp_masks"]), painted)
    assert not warnings_in(caplog)


def test_people_and_images_without_dense_pose_are_normal(load, caplog):
    images = [{**IMAGE, "id": n} for n in range(4)]
    people = [
        person(1, image_id=0),
        person(2, image_id=0, dense=False),
        person(3, image_id=1, dense=False, segmentation=None, keypoints=None),
        person(4, image_id=2, dp_masks=[]),
        person(5, image_id=2, dp_masks=None),
        person(6, image_id=2, segmentation=[], keypoints=[]),
    ]
    loaded = load(people, images=images)
    assert [len(image["annotations"]) for image in loaded] == [2, 1, 3, 0]
    dense = [[has_densepose(p) for p in image["annotations"]] for image in loaded]
    assert dense == [[True, False], [False], [True, True, True], []]
    bare = loaded[1]["annotations"][0]
    assert "segmentation" not in bare
    assert "keypoints" not in bare
    assert ["dp_masks" in p for p in loaded[2]["annotations"]] == [False, False, True]
    assert not warnings_in(caplog)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": None}, "bbox = None, expected four finite numbers"),
        ({"bbox": [1, 2, 3]}, "expected four finite numbers"),
        ({"bbox": [1, 2, 3, float("nan")]}, "expected four finite numbers"),
        ({"bbox": [1, 2, 3, 10**400]}, "expected four finite numbers"),
        ({"bbox": [1, 2, "3,5", 4]}, "expected four finite numbers"),
        ({"bbox": {}}, "expected four finite numbers"),
        ({"bbox": [1, 2, 0, 10]}, "expected a positive width and height"),
        ({"bbox": [1, 2, 10, -3]}, "expected a positive width and height"),
        ({"bbox": [160, 2, 10, 10]}, "lies outside its image of 160 x 120"),
        ({"bbox": [10, 120.5, 10, 10]}, "lies outside its image"),
        ({"bbox": [-10, 2, 10, 10]}, "lies outside its image"),
        ({"bbox": [2, -30, 10, 20]}, "lies outside its image"),
        ({"category_id": 7}, "category_id 7 is not in the file"),
        ({"category_id": None}, "category_id None is not in the file"),
        ({"image_id": 99}, "its image is not in the file"),
    ],
)
def test_annotations_that_cannot_be_used_are_left_out_and_counted(load, caplog, changes, message):
    (image,) = load([person(1), person(2, **changes), person(3, **changes), person(4)])
    assert [p["id"] for p in image["annotations"]] == [1, 4]
    (warning,) = warnings_in(caplog)
    assert "annotations.json: left out 2 annotations that cannot be used" in warning
    assert f"annotation 2 of image {changes.get('image_id', 5)}: " in warning
    assert message in warning


@pytest.mark.parametrize(
    ("changes", "kind", "keys", "message"),
    [
        ({"dp_I": [1.0]}, "dense poses", ["dp_x"], "differing lengths"),
        ({"dp_V": None}, "dense poses", ["dp_x"], "lacks dp_V"),
        ({"dp_masks": [[]]}, "dense poses", ["dp_x", "dp_masks"], "1 entries"),
        (
            {"dp_I": None, "dp_U": None, "dp_V": None, "dp_vertex": [1]},
            "dense poses",
            ["dp_x", "dp_vertex"],
            "lacks ref_model",
        ),
        ({"segmentation": [[1, 2, 3, 4]]}, "segmentations", ["segmentation"], "no polygon"),
        ({"segmentation": "person"}, "segmentations", ["segmentation"], "a str, expected"),
        ({"segmentation": {**RLE, "size": [9, 9]}}, "segmentations", ["segmentation"], "[120, 160"),
        ({"segmentation": {**RLE, "counts": "?"}}, "segmentations", ["segmentation"], "not fill"),
        ({"keypoints": [1, 2, 2]}, "keypoints", ["keypoints"], "3 values, expected 51"),
        ({"keypoints": "none"}, "keypoints", ["keypoints"], "'none', expected 51"),
        ({"keypoints": ["a"] * 51}, "keypoints", ["keypoints"], "not finite numbers"),
        ({"keypoints": [float("nan")] * 51}, "keypoints", ["keypoints"], "not finite numbers"),
    ],
)
def test_parts_that_cannot_be_used_leave_the_rest(load, caplog, changes, kind, keys, message):
    (image,) = load([person(1), person(2, **changes)])
    good, bad = image["annotations"]
    assert set(keys) & set(bad) == set()
    others = {"bbox", "segmentation", "keypoints", "dp_x"} - set(keys)
    assert others <= set(bad)
    assert {"segmentation", "keypoints", "dp_x", "dp_masks"} <= set(good)
    (warning,) = warnings_in(caplog)
    assert f"left out 1 {kind} that cannot be used; the first is annotation 2 of" in warning
    assert message in warning


def test_run_lengths_of_both_kinds_reach_the_mapper(load, caplog):
    (image,) = load([person(1, segmentation=RLE)])
    segmentation = image["annotations"][0]["segmentation"]
    assert segmentation["size"] == [120, 160]
    assert isinstance(segmentation["counts"], bytes)
    assert not warnings_in(caplog)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "expected a COCO object, found a list"),
        ("3", "expected a COCO object, found a int"),
        ("{}", "not in COCO format: no list 'categories'"),
        ('{"categories": []}', "no list 'images'"),
        ('{"categories": [], "images": []}', "no list 'annotations'"),
        ('{"categories": {}, "images": [], "annotations": []}', "no list 'categories'"),
        ('{"categories": [{}], "images": [], "annotations": []}', r"categories\[0\] has no 'id'"),
        ('{"categories": [], "images": [5], "annotations": []}', r"images\[0\] has no 'id'"),
        (
            '{"categories": [], "images": [{"id": 1, "file_name": "a"}], "annotations": []}',
            r"images\[0\] has no 'height'",
        ),
        (
            '{"categories": [], "images": [{"id": 1, "file_name": "a", "height": "x", "width": 4}],'
            ' "annotations": []}',
            r"images\[0\] has 'height' = 'x', expected a whole number",
        ),
        (
            '{"categories": [], "images": [{"id": [], "file_name": "a", "height": 4, "width": 4}],'
            ' "annotations": []}',
            r"images\[0\] has 'id' = \[\], expected a number or a string",
        ),
    ],
)
def test_files_that_are_not_coco(tmp_path, text, message):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"wrong\.json.*{message}"):
        load_densepose_coco(str(path), "", surface="smpl")


def test_files_that_are_not_text_or_not_there(tmp_path):
    path = tmp_path / "wrong.json"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match=r"wrong\.json is not JSON"):
        load_densepose_coco(str(path), "", surface="smpl")
    with pytest.raises(FileNotFoundError, match=r"missing\.json: no such annotation file$"):
        load_densepose_coco(str(tmp_path / "missing.json"), "", surface="smpl")


def test_two_images_of_one_id(load):
    with pytest.raises(ValueError, match=r"two images have the id 5, 'a/b\.jpg' and 'c\.jpg'"):
        load([], images=[IMAGE, {**IMAGE, "file_name": "c.jpg"}])


CATEGORIES = ((3, "bear"), (10, "person"), (20, "monkey"), (30, "ape"))


def of_categories(*ids: int) -> list[dict]:
    return [person(number, category_id=id) for number, id in enumerate(ids, start=1)]


@pytest.mark.parametrize(
    ("keep", "change", "classes", "expected"),
    [
        (None, None, ["bear", "person", "monkey", "ape"], {1: 1, 2: 2, 3: 3, 4: 0}),
        ([10], None, ["person"], {1: 0}),
        ([20, 10], None, ["person", "monkey"], {1: 0, 2: 1}),
        # Ids to keep are those in the file; they are mapped afterwards.
        (None, {20: 10, 30: 10}, ["bear", "person"], {1: 1, 2: 1, 3: 1, 4: 0}),
        ([20, 30], {20: 10, 30: 10}, ["person"], {2: 0, 3: 0}),
        ([10, 20], {"20": 10}, ["person"], {1: 0, 2: 0}),
        # Maps are not chained, and a category may be mapped to itself.
        (None, {10: 20, 20: 30}, ["bear", "monkey", "ape"], {1: 1, 2: 2, 3: 2, 4: 0}),
        ([10], {10: 10}, ["person"], {1: 0}),
        ([], None, [], {}),
    ],
)
def test_categories_kept_and_mapped(load, dataset_name, keep, change, classes, expected):
    (image,) = load(
        of_categories(10, 20, 30, 3),
        categories=CATEGORIES,
        dataset_name=dataset_name,
        kept=keep,
        category_map=change,
    )
    assert {p["id"]: p["category_id"] for p in image["annotations"]} == expected
    assert MetadataCatalog.get(dataset_name).thing_classes == classes


def test_categories_that_the_file_does_not_have(load):
    with pytest.raises(ValueError, match=r"categories to keep \[10, 77\], the file has \[3, 10"):
        load([], categories=CATEGORIES, kept=[77, 10])
    with pytest.raises(ValueError, match=r"mapped categories \[77\]"):
        load([], categories=CATEGORIES, category_map={10: 77})


def test_registration_sets_the_metadata_that_detectron2_needs(tmp_path, dataset_name):
    path = make_dataset(tmp_path, images=2)
    register_densepose_coco(dataset_name, path, tmp_path, surface="open")
    metadata = MetadataCatalog.get(dataset_name)
    assert metadata.evaluator_type == "coco"
    assert metadata.surface == "open"
    assert metadata.json_file == str(path)
    assert len(metadata.keypoint_names) == 17
    images = DatasetCatalog.get(dataset_name)
    assert len(images) == 2
    assert all(image["surface"] == "open" for image in images)
    assert metadata.thing_classes == ["person"]
    assert metadata.thing_dataset_id_to_contiguous_id == {1: 0}
    with pytest.raises(TypeError, match="surface"):
        register_densepose_coco("another", path, tmp_path)


def test_registering_reads_nothing(dataset_name):
    register_densepose_coco(dataset_name, "/nowhere/at/all.json", "/nowhere", surface="smpl")
    with pytest.raises(FileNotFoundError, match=r"/nowhere/at/all\.json"):
        DatasetCatalog.get(dataset_name)


json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 500),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(0, 90), max_size=4),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
GOOD = {
    "images": [IMAGE],
    "annotations": [person(1), person(2, segmentation=RLE)],
    "categories": [{"id": 1, "name": "person"}],
}


@pytest.mark.slow
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_value_is_refused_left_out_or_usable(tmp_path, data):
    """One value of a valid file replaced by any other: a result or a ValueError, nothing else."""
    contents = copy.deepcopy(GOOD)
    record = data.draw(st.sampled_from([r for records in contents.values() for r in records]))
    record[data.draw(st.sampled_from(sorted(record)))] = data.draw(json_values)
    path = tmp_path / "fuzzed.json"
    path.write_text(json.dumps(contents))
    try:
        images = load_densepose_coco(str(path), "", surface="smpl")
    except ValueError as error:
        assert "fuzzed.json" in str(error)  # noqa: PT017 (a refusal is one of two good answers)
        return
    for annotation in images[0]["annotations"]:
        assert np.isfinite(annotation["bbox"]).all()
        assert annotation["bbox"][2] > 0


def test_registered_again_a_dataset_must_be_the_same(dataset_name, tmp_path):
    """A notebook's cell may be run twice."""
    for _ in range(2):
        register_densepose_coco(dataset_name, tmp_path / "a.json", tmp_path, surface="open")
    with pytest.raises(ValueError, match=rf"'{dataset_name}' is registered already, .*a\.json"):
        register_densepose_coco(dataset_name, tmp_path / "b.json", tmp_path, surface="open")
