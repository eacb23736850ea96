"""Training on dense targets: points drawn from pictures, through the mapper and the loader."""

import json
import logging

import cv2
import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data import transforms as T

from densepose_ext import DensePoseDatasetMapper, register_densepose_coco
from densepose_ext.data import load_densepose_coco, training_images
from densepose_ext.data.dense_points import draw_points
from densepose_ext.data.left_out import warn_once
from densepose_ext.structures import DensePoseAnnotationList
from densepose_ext.surface.dense_target import dense_target_size, write_dense_target
from densepose_ext.surface.parts import FINE_PART_NAMES
from projects_tests.tiny_dataset import make_dataset, make_surface

NAME = "tiny_dense"


def target(height: int, width: int) -> np.ndarray:
    """U and V say where in the box a pixel is; the left half is the right hand, the right half the
    left one, the uppermost tenth background."""
    v, u = np.meshgrid(
        (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij"
    )
    part = np.where(u < 0.5, 3, 4) * (v > 0.1)
    return np.rint(np.stack([part, u * 255, v * 255], 2)).astype(np.uint8)


@pytest.fixture
def json_file(tmp_path):
    """Two pictures; the first one's people have points and dense targets, the second's neither."""
    path = make_dataset(tmp_path, images=2, dense=lambda number: number == 1)
    contents = json.loads(path.read_text())
    (tmp_path / "dense").mkdir()
    for person in contents["annotations"]:
        if "dp_x" in person:
            person["dp_iuv"] = f"dense/{person['id']}.png"
            write_dense_target(
                tmp_path / person["dp_iuv"], target(*dense_target_size(person["bbox"]))
            )
    path.write_text(json.dumps(contents))
    return path


@pytest.fixture(autouse=True)
def _seeded():
    np.random.seed(0)
    warn_once.cache_clear()


def records(json_file, surface="none"):
    return load_densepose_coco(str(json_file), str(json_file.parent), surface=surface)


def mapped(record, *augmentations, supervision="dense", **arguments) -> DensePoseAnnotationList:
    training = DensePoseDatasetMapper(
        True, augmentations=list(augmentations), image_format="BGR", supervision=supervision,
        **arguments,
    )  # fmt: skip
    return training(record)["instances"]


def test_points_are_where_the_pixels_are():
    box = [10.6, 20.2, 50.9, 80.3]
    annotation = draw_points(target(80, 50), box, 500)
    assert len(annotation.x) == 500
    assert set(annotation.i.tolist()) == {3, 4}
    assert annotation.v.min() > 0.1
    # In the picture, continuous: the target starts at the whole pixel (10, 20).
    x = annotation.x.numpy() * box[2] / 256 + box[0]
    np.testing.assert_allclose((x - 10) / 50, annotation.u, atol=0.003)
    assert draw_points(np.zeros((5, 5, 3), np.uint8), box, 9) is None


def test_small_parts_get_their_share():
    """A hand of 1% of the pixels gets a third of the points that the torso gets."""
    iuv = np.zeros((100, 100, 3), np.uint8)
    iuv[..., 0] = FINE_PART_NAMES.index("torso front")
    iuv[:6, :6, 0] = hand = FINE_PART_NAMES.index("left hand")
    annotation = draw_points(iuv, [0, 0, 100, 100], 4000)
    share = (annotation.i == hand).float().mean().item()
    assert share == pytest.approx(36 / 8 / (36 / 8 + 14), abs=0.03)


def test_points_targets_or_both_train_as_the_supervision_says(json_file):
    record, without = records(json_file)
    counts = [len(person["dp_x"]) for person in record["annotations"]]
    expected = {
        "points": counts,
        "dense": [60, 60],
        "both": [count + 60 for count in counts],
    }
    for supervision, numbers in expected.items():
        found = mapped(record, supervision=supervision, dense_points=60).gt_densepose
        assert [len(one.x) for one in found] == numbers
        assert all(one.segm is not None for one in found)
    assert list(mapped(without).gt_densepose) == [None, None]
    assert not np.array_equal(mapped(record).gt_densepose.x, mapped(record).gt_densepose.x)


@pytest.mark.parametrize("kind", ["plain", "flip", "crop", "rotation"])
def test_points_follow_the_picture(json_file, tmp_path, kind):
    """Points drawn after a transform lie where those drawn before it do."""
    surface = str(make_surface(tmp_path / "surface"))  # a flip makes 1 - U of U
    (record, _) = records(json_file, surface)
    height, width = record["height"], record["width"]
    transform = {
        "plain": T.NoOpTransform(),
        "flip": T.HFlipTransform(width),
        "crop": T.CropTransform(30, 20, 150, 120),
        "rotation": T.RotationTransform(height, width, 20, expand=False),
    }[kind]
    instances = mapped(record, transform, dense_points=400)
    for person, box, found in zip(
        record["annotations"], instances.gt_boxes.tensor.numpy(), instances.gt_densepose
    ):
        if found is None:
            continue
        u = 1 - found.u.numpy() if kind == "flip" else found.u.numpy()
        left, top = person["bbox"][:2]
        size = dense_target_size(person["bbox"])
        places = np.stack(
            [int(left) + u * size[1], int(top) + found.v.numpy() * size[0]], axis=1
        ).astype(np.float64)
        expected = transform.apply_coords(places)
        unit = (box[2:] - box[:2]) / 256
        at = np.stack([found.x.numpy(), found.y.numpy()], 1) * unit + box[:2]
        assert np.abs(at - expected).max() < 0.6
        if kind == "flip":  # the right hand, 3, is the half with the smaller U
            np.testing.assert_array_equal(found.i.numpy() == 4, u < 0.5)


def test_a_target_that_cannot_be_read_leaves_the_points(json_file, caplog):
    (record, _) = records(json_file)
    second = record["annotations"][1]
    cv2.imwrite(second["dp_iuv"], np.zeros((3, 4, 3), np.uint8))
    with caplog.at_level(logging.WARNING):
        found = mapped(record, dense_points=60).gt_densepose
        mapped(record)
    assert [len(one.x) for one in found] == [60, len(second["dp_x"])]
    (message,) = [r.getMessage() for r in caplog.records]
    assert f"annotation {second['id']}" in message
    assert "has 4 x 3 pixels, expected" in message


@pytest.fixture
def registered(json_file):
    register_densepose_coco(NAME, json_file, json_file.parent, surface="none")
    yield json_file
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def test_people_with_dense_targets_alone(registered):
    contents = json.loads(registered.read_text())
    for person in contents["annotations"]:
        for key in [key for key in person if key.startswith("dp_") and key != "dp_iuv"]:
            del person[key]
    registered.write_text(json.dumps(contents))
    with pytest.raises(ValueError, match="no image to train on"):
        training_images([NAME], flipped=False)
    (record,) = training_images([NAME], flipped=False, dense_targets=True)
    found = mapped(record, dense_points=60).gt_densepose
    assert [len(one.x) for one in found] == [60, 60]


def test_a_target_that_is_missing_stops_the_run_before_it_starts(registered):
    assert len(training_images([NAME], flipped=False, dense_targets=True)) == 1
    (registered.parent / "dense" / "2.png").unlink()
    assert len(training_images([NAME], flipped=False)) == 1
    with pytest.raises(
        FileNotFoundError,
        match=rf"dataset '{NAME}', image 1, annotation 2: dp_iuv = .*2\.png: there is no such file",
    ):
        training_images([NAME], flipped=False, dense_targets=True)


def test_a_target_that_is_not_a_file_name_is_left_out(registered, caplog):
    contents = json.loads(registered.read_text())
    contents["annotations"][0]["dp_iuv"] = 5
    registered.write_text(json.dumps(contents))
    with caplog.at_level(logging.WARNING):
        (first, _) = records(registered)[0]["annotations"]
    assert "dp_iuv" not in first
    assert "left out 1 dense targets" in caplog.text
    assert "dp_iuv = 5, expected a file" in caplog.text


def test_an_unknown_supervision_is_refused():
    for arguments in ({"supervision": "teacher"}, {"dense_points": 0}):
        with pytest.raises(ValueError, match=r"INPUT\.DENSEPOSE_SUPERVISION = .*DENSE_POINTS = "):
            DensePoseDatasetMapper(
                True, augmentations=[], image_format="BGR", **{"supervision": "dense", **arguments}
            )
