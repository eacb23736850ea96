"""The images that are trained on, and the loaders of a config."""

import itertools
import json
import logging

import cv2
import numpy as np
import pytest
from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext.config import add_densepose_config
from densepose_ext.data import (
    build_densepose_test_loader,
    build_densepose_train_loader,
    register_densepose_coco,
    training_images,
)
from projects_tests.tiny_dataset import make_dataset, make_surface, write_coco


@pytest.fixture
def register(tmp_path):
    """``register(name, **changes)`` registers a tiny dataset of 4 pictures of two people each.

    Args:
        drop: keys (prefixes) that no person has.
        dense: number of the picture -> whether its people have dense pose.
        change: function of the list of people, which returns another.
    """
    registered = []
    surface_folder = make_surface(tmp_path / "surface")

    def register(
        name="tiny", *, drop=(), dense=None, change=None, surface=surface_folder, categories=None
    ):
        path = make_dataset(tmp_path / name, images=4, dense=dense)
        contents = json.loads(path.read_text())
        people = [
            {k: v for k, v in person.items() if not k.startswith(tuple(drop))}
            for person in contents["annotations"]
        ]
        people = change(people) if change else people
        write_coco(path, contents["images"], people)
        if categories:
            contents = json.loads(path.read_text())
            contents["categories"] = [{"id": n, "name": c} for n, c in categories.items()]
            path.write_text(json.dumps(contents))
        register_densepose_coco(name, path, tmp_path / name, surface=surface)
        registered.append(name)
        return name

    yield register
    for name in registered:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture(autouse=True)
def _log(caplog):
    caplog.set_level(logging.INFO)


def ids(images: list[dict]) -> list[int]:
    return [image["image_id"] for image in images]


def config(*names: str, **changes):
    cfg = get_cfg()
    add_densepose_config(cfg)
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 1
    cfg.DATASETS.TRAIN = names
    cfg.INPUT.MIN_SIZE_TRAIN = (100,)
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.merge_from_list([value for item in changes.items() for value in item])
    return cfg


def test_images_in_which_somebody_has_dense_pose(register, caplog):
    name = register(dense=lambda number: number in (1, 4))
    assert ids(training_images([name])) == [1, 4]
    assert "2 images to train on, with 4 people, 4 with dense pose" in caplog.text
    assert "left out 2 images in which nobody has dense pose" in caplog.text
    assert ids(training_images([name], need_densepose=False)) == [1, 2, 3, 4]


def test_one_person_with_dense_pose_keeps_an_image(register):
    def change(people):
        for person in people[::2]:
            for key in [key for key in person if key.startswith("dp_")]:
                del person[key]
        return people

    images = training_images([register(change=change)])
    assert ids(images) == [1, 2, 3, 4]
    assert all(len(image["annotations"]) == 2 for image in images)


@pytest.mark.parametrize(
    ("drop", "dense", "arguments", "kept"),
    [
        ((), None, {}, True),
        (("dp_masks",), None, {}, True),
        (("segmentation",), None, {}, True),
        # Masks are trained, and nobody of those that the mapper keeps has dense pose.
        (("segmentation",), None, {"need_masks": True}, False),
        (("segmentation",), None, {"segm_from_instance_masks": True}, False),
        # Masks train the coarse segmentation, so they count as dense pose.
        ((), lambda number: False, {"segm_from_instance_masks": True}, True),
        ((), lambda number: False, {"need_masks": True}, False),
        (("dp_V",), None, {}, False),
    ],
)
def test_what_counts_as_something_to_learn(register, drop, dense, arguments, kept):
    name = register(drop=drop, dense=dense)
    if kept:
        assert len(training_images([name], **arguments)) == 4
    else:
        with pytest.raises(ValueError, match="no image to train on is left in tiny"):
            training_images([name], **arguments)


def test_datasets_that_are_not_there_are_named(register):
    name = register()
    with pytest.raises(ValueError, match=rf"no dataset '{name}x' is registered; .*: {name}\b"):
        training_images([name + "x"])
    with pytest.raises(ValueError, match=r"DATASETS\.TRAIN = \(\), expected names"):
        training_images([])


def test_crowds_and_embeddings_do_not_count(register, caplog):
    def change(people):
        for person in people:
            if person["image_id"] == 1:
                person["iscrowd"] = 1
            if person["image_id"] == 2:
                for key in ("dp_I", "dp_U", "dp_V"):
                    del person[key]
                person["dp_vertex"] = [1] * len(person["dp_x"])
        return people

    assert ids(training_images([register(change=change)])) == [3, 4]
    assert "left out 2 dense poses that cannot be used" in caplog.text
    assert "dp_vertex" in caplog.text


def test_people_without_a_mask_are_counted(register, caplog):
    def change(people):
        del people[0]["segmentation"]
        return people

    training_images([register(change=change)], need_masks=True)
    assert "left out 1 person without a mask, which this model trains" in caplog.text


def test_missing_images_are_left_out_and_counted(register, tmp_path, caplog):
    name = register()
    (tmp_path / name / "2.jpg").unlink()
    assert ids(training_images([name])) == [1, 3, 4]
    missing = tmp_path / name / "2.jpg"
    assert f"left out 1 missing image; the first is {missing}" in caplog.text
    for number in (1, 3, 4):
        (tmp_path / name / f"{number}.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"none of its 4 images exists, .*1\.jpg"):
        training_images([name])


def test_an_empty_dataset_is_refused(register, tmp_path):
    name = register()
    write_coco(tmp_path / name / "annotations.json", [], [])
    with pytest.raises(ValueError, match="dataset 'tiny' has no images"):
        training_images([name])
    with pytest.raises(ValueError, match="dataset 'tiny' has no images"):
        build_densepose_test_loader(config(), name)


def test_images_without_annotations_train_only_without_dense_pose(register):
    name = register(change=lambda people: [])
    with pytest.raises(ValueError, match="no image to train on is left"):
        training_images([name])
    assert len(training_images([name], need_densepose=False)) == 4


def test_images_with_too_few_keypoints_are_left_out(register):
    def change(people):
        for person in people:
            if person["image_id"] == 1:
                del person["keypoints"]
            if person["image_id"] == 2:
                person["keypoints"] = [0] * 51
        return people

    assert ids(training_images([register(change=change)], min_keypoints=1)) == [3, 4]


def test_datasets_are_joined(register):
    first, second = register("first"), register("second", dense=lambda number: number == 2)
    assert ids(training_images([first, second])) == [1, 2, 3, 4, 2]


def test_an_unknown_surface_stops_before_training(register):
    name = register(surface="nobody")
    with pytest.raises(ValueError, match=r"dataset 'tiny'.*no surface 'nobody'.*smpl"):
        training_images([name])
    assert training_images([name], flipped=False)


def test_a_missing_mirror_map_stops_before_training(register, tmp_path):
    (tmp_path / "empty").mkdir()
    name = register(surface=tmp_path / "empty")
    message = r"'tiny' cannot be flipped.*UV_symmetry_transforms\.mat.*INPUT.RANDOM_FLIP none"
    with pytest.raises(FileNotFoundError, match=message):
        training_images([name])
    # Every image is taken: those that have dense pose are flipped as well.
    with pytest.raises(FileNotFoundError, match=message):
        training_images([name], need_densepose=False)
    assert training_images([name], flipped=False)


def test_nobody_to_flip_needs_no_mirror_map(register, tmp_path):
    (tmp_path / "empty").mkdir()
    name = register(surface=tmp_path / "empty", drop=("dp_",))
    assert len(training_images([name], need_densepose=False)) == 4


def test_records_without_a_surface_stop_before_training(register):
    images = training_images([register()])
    for image in images:
        del image["surface"]
    name = "without_surface"
    DatasetCatalog.register(name, lambda: images)
    try:
        with pytest.raises(ValueError, match="'without_surface' names no surface"):
            training_images([name])
        assert training_images([name], flipped=False)
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def test_categories_are_kept_and_mapped_as_the_config_says(register, caplog):
    def change(people):
        for person in people:
            person["category_id"] = person["image_id"]
        return people

    name = register(change=change, categories={1: "person", 2: "bear", 3: "ape", 4: "monkey"})
    cfg = config(name)
    cfg.DATASETS.WHITELISTED_CATEGORIES[name] = [1, 3]
    cfg.DATASETS.CATEGORY_MAPS[name] = {"3": 1}
    images = build_densepose_train_loader(cfg)
    found = set()
    for batch, _ in zip(images, range(6)):
        for image in batch:
            assert image["image_id"] in (1, 3)
            found |= set(image["instances"].gt_classes.tolist())
    assert found == {0}
    assert MetadataCatalog.get(name).thing_classes == ["person"]


def test_more_classes_than_the_model_has_are_refused(register):
    name = register(
        change=lambda people: [{**p, "category_id": 1 + p["id"] % 2} for p in people],
        categories={1: "person", 2: "bear"},
    )
    with pytest.raises(
        ValueError, match=r"'tiny' has class 1 \(bear\).*NUM_CLASSES = 1; .*WHITELISTED"
    ):
        build_densepose_train_loader(config(name))
    batches = build_densepose_train_loader(config(name, **{"MODEL.ROI_HEADS.NUM_CLASSES": 2}))
    assert len(next(iter(batches))) == 2


def test_datasets_of_different_classes_are_refused(register):
    first = register("first", categories={1: "person"})
    second = register("second", categories={1: "bear"})
    message = r"'second' has the classes \['bear'\], but 'first' has \['person'\]"
    with pytest.raises(ValueError, match=message):
        training_images([first, second])


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("keypoints", [True, False])
def test_training_batches_hold_what_the_heads_need(register, masks, keypoints):
    name = register(dense=lambda number: number != 3)
    cfg = config(name, **{"MODEL.MASK_ON": masks, "MODEL.KEYPOINT_ON": keypoints})
    for batch, _ in zip(build_densepose_train_loader(cfg), range(4)):
        assert len(batch) == 2
        for image in batch:
            assert image["image_id"] in (1, 2, 4)
            instances = image["instances"]
            assert instances.gt_densepose.present.all()
            assert instances.has("gt_masks") == masks
            assert instances.has("gt_keypoints") == keypoints


def test_empty_annotations_may_be_kept(register):
    name = register(dense=lambda number: number == 1)
    cfg = config(name, **{"DATALOADER.FILTER_EMPTY_ANNOTATIONS": False})
    seen = set()
    for batch, _ in zip(build_densepose_train_loader(cfg), range(8)):
        seen |= {image["image_id"] for image in batch}
    assert seen == {1, 2, 3, 4}


def test_a_damaged_picture_does_not_end_a_training_run(register, tmp_path, caplog):
    name = register()
    (tmp_path / name / "2.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / name / "3.jpg"), np.zeros((5, 5, 3), np.uint8))
    seen = set()
    for batch, _ in zip(build_densepose_train_loader(config(name)), range(10)):
        seen |= {image["image_id"] for image in batch}
    assert seen == {1, 4}
    skipped = [r.getMessage() for r in caplog.records if "skipped in training" in r.getMessage()]
    assert len(skipped) == len(set(skipped)) == 2


def test_test_batches_hold_every_image_and_fail_if_one_is_missing(register, tmp_path):
    name = register(dense=lambda number: False)
    loader = build_densepose_test_loader(config(), name)
    images = [image for batch in loader for image in batch]
    assert ids(images) == [1, 2, 3, 4]
    assert not any("instances" in image for image in images)
    (tmp_path / name / "2.jpg").unlink()
    with pytest.raises(ValueError, match=r"2\.jpg"):
        list(build_densepose_test_loader(config(), name))


@pytest.mark.parametrize(
    ("sampling", "sizes", "expected"),
    [("choice", (50, 70), {50, 70}), ("range", (50, 52), {50, 51, 52})],
)
def test_same_size_in_batch_draws_one_size_per_batch(register, sampling, sizes, expected):
    cfg = config(
        register(),
        **{
            "INPUT.SAME_SIZE_IN_BATCH": True,
            "INPUT.MIN_SIZE_TRAIN": sizes,
            "INPUT.MIN_SIZE_TRAIN_SAMPLING": sampling,
        },
    )
    batches = itertools.islice(build_densepose_train_loader(cfg), 24)
    found = [{min(d["image"].shape[1:]) for d in batch} for batch in batches]
    assert all(len(size) == 1 for size in found)
    assert set().union(*found) == expected
