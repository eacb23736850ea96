"""Annotations of synthetic people: exact, or with the errors of human annotators."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle

from densepose_ext.surface.body import COCO_KEYPOINTS
from densepose_ext.surface.parts import FINE_PART_NAMES, FINE_TO_COARSE, FINE_TO_GROUP
from densepose_ext.surface.raster import project
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.annotations import part_map
from densepose_ext.synthetic.annotators import MEAN_ERROR, annotate_by_hand
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings

SMALL = Settings(size=160, seed=5, people=3)


@pytest.fixture(scope="module")
def surface():
    return BodySurface.load()


@pytest.fixture(scope="module")
def examples():
    return [make_example(SMALL, "train", n) for n in range(12)]


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
