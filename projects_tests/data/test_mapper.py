"""The mapper: the model's input, in every combination."""

import copy
import logging

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from detectron2.data.detection_utils import create_keypoint_hflip_indices
from detectron2.structures import BitMasks, BoxMode, PolygonMasks
from pycocotools import mask as coco_mask

from densepose_ext.data import DensePoseDatasetMapper, load_densepose_coco
from densepose_ext.data.left_out import warn_once
from densepose_ext.data.rle import painted_map
from densepose_ext.structures import DensePoseAnnotationList
from projects_tests.tiny_dataset import make_dataset, make_surface

FLIPS = create_keypoint_hflip_indices(["densepose_coco_2014_train"])
HEIGHT, WIDTH = 160, 200


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    return str(make_surface(tmp_path_factory.mktemp("surface")))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, surface):
    folder = tmp_path_factory.mktemp("dataset")
    path = make_dataset(folder, images=2, size=(HEIGHT, WIDTH))
    return load_densepose_coco(str(path), str(folder), surface=surface)


@pytest.fixture
def image(dataset):
    return copy.deepcopy(dataset[0])


@pytest.fixture(autouse=True)
def _warn_again():
    warn_once.cache_clear()


def training(*augmentations, **arguments) -> DensePoseDatasetMapper:
    return DensePoseDatasetMapper(
        True, augmentations=list(augmentations), image_format="BGR", **arguments
    )


def without(person: dict, *keys: str) -> dict:
    return {key: value for key, value in person.items() if not key.startswith(keys)}


def test_a_training_picture_has_boxes_points_and_masks(image):
    before = copy.deepcopy(image)
    mapped = training()(image)
    assert mapped["image"].shape == (3, HEIGHT, WIDTH)
    assert mapped["image"].dtype == torch.uint8
    picture = cv2.imread(image["file_name"])
    assert np.abs(mapped["image"].numpy().transpose(1, 2, 0).astype(int) - picture).max() <= 2
    instances = mapped["instances"]
    assert len(instances) == 2
    assert isinstance(instances.gt_densepose, DensePoseAnnotationList)
    for person, box, annotation in zip(
        image["annotations"], instances.gt_boxes.tensor, instances.gt_densepose
    ):
        x, y, w, h = person["bbox"]
        np.testing.assert_allclose(box, [x, y, x + w, y + h], rtol=1e-6)
        np.testing.assert_allclose(annotation.x, person["dp_x"], atol=1e-3)
        assert annotation.segm.shape == (256, 256)
    assert "annotations" not in mapped
    # The dataset is shared by all epochs.
    np.testing.assert_equal(image, before)


@pytest.mark.parametrize("image_format", ["BGR", "RGB", "L", "YUV-BT.601"])
@pytest.mark.parametrize("kind", ["plain", "hflip", "vflip", "crop", "both"])
def test_every_pixel_is_where_detectron2_has_it(image, kind, image_format):
    augmentations = {
        "plain": [],
        "hflip": [T.HFlipTransform(WIDTH)],
        "vflip": [T.VFlipTransform(HEIGHT)],
        "crop": [T.CropTransform(10, 20, 100, 110)],
        "both": [T.CropTransform(10, 20, 100, 110), T.HFlipTransform(100)],
    }[kind]
    arguments = {"augmentations": augmentations, "image_format": image_format}
    for is_train in (True, False):
        found = DensePoseDatasetMapper(is_train, **arguments)(image)["image"]
        expected = DatasetMapper(False, **arguments)(image)["image"]
        assert found.dtype == expected.dtype
        assert found.is_contiguous()
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("crop", [False, True])
def test_a_record_is_left_as_it_was(image, crop):
    """Detectron2's transforms write into the arrays that they are given."""
    for person in image["annotations"]:
        person["segmentation"] = [np.array([20.0, 20, 90, 20, 90, 120, 20, 120])]
        person["keypoints"] = np.tile([40.0, 50.0, 2.0], 17)
    before = copy.deepcopy(image)
    augmentations = [T.CropTransform(5, 5, 180, 150)] if crop else []
    augmentations += [T.ResizeShortestEdge([77], 300, "choice"), T.RandomFlip(1.0)]
    mapped = training(
        *augmentations,
        use_instance_mask=True,
        use_keypoint=True,
        keypoint_hflip_indices=FLIPS,
        instance_mask_format="bitmask" if crop else "polygon",
    )(image)
    for annotation in mapped["instances"].gt_densepose:
        for values in (annotation.x, annotation.y, annotation.u, annotation.v):
            values += 1
    np.testing.assert_equal(image, before)


def test_an_inference_picture_is_resized_and_has_no_annotations(image):
    test_mapper = DensePoseDatasetMapper(
        False, augmentations=[T.ResizeShortestEdge(80, 1000)], image_format="BGR"
    )
    mapped = test_mapper(image)
    assert mapped["image"].shape == (3, 80, 100)
    assert not {"annotations", "instances"} & set(mapped)
    assert (mapped["height"], mapped["width"], mapped["image_id"]) == (HEIGHT, WIDTH, 1)


def test_points_lie_on_what_they_were_put_on(image, tmp_path):
    """All of it at once: crop, resize, flip, rotation, on a picture with a dot at every point."""
    picture = np.zeros((HEIGHT * 2, WIDTH * 2, 3), np.uint8)
    image.update(file_name=str(tmp_path / "dots.png"), height=HEIGHT * 2, width=WIDTH * 2)
    for person in image["annotations"]:
        person["bbox"] = [2 * value for value in person["bbox"]]
        x, y, w, h = person["bbox"]
        for px, py in zip(x + person["dp_x"] * w / 256, y + person["dp_y"] * h / 256):
            # Pixel n covers n to n + 1; shift=4 draws to a sixteenth of a pixel.
            centre = (round((px - 0.5) * 16), round((py - 0.5) * 16))
            cv2.circle(picture, centre, 48, (255, 255, 255), -1, cv2.LINE_AA, 4)
    cv2.imwrite(image["file_name"], picture)
    augmentations = [
        T.RandomCrop("relative_range", (0.7, 0.7)),
        T.ResizeShortestEdge([300, 400], 2000, "range"),
        T.RandomFlip(),
        T.RandomRotation([-15, 15], expand=True),
    ]
    np.random.seed(0)
    points = 0
    for _ in range(20):
        mapped = training(*augmentations)(image)
        instances = mapped["instances"]
        brightness = mapped["image"][0].float()
        height, width = brightness.shape
        for box, annotation in zip(instances.gt_boxes.tensor, instances.gt_densepose):
            if annotation is None:
                continue
            x = box[0] + annotation.x * (box[2] - box[0]) / 256
            y = box[1] + annotation.y * (box[3] - box[1]) / 256
            # Corners that a rotation brings in from outside of a crop are black.
            shown = brightness[y.long().clamp(max=height - 1), x.long().clamp(max=width - 1)]
            surely = torch.minimum(torch.minimum(x, y), torch.minimum(width - x, height - y)) > 80
            assert (shown[surely] > 128).float().mean() > 0.97
            points += int(surely.sum())
    assert points > 200


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("points", [True, False])
@pytest.mark.parametrize("keypoints", [True, False])
@pytest.mark.parametrize("segmentation", [True, False])
@pytest.mark.parametrize("flip", [True, False])
def test_people_with_and_without_everything(image, masks, points, keypoints, segmentation, flip):
    first, second = image["annotations"]
    drop = ["dp_"] if not points else [] if masks else ["dp_masks"]
    drop += [] if keypoints else ["keypoints"]
    drop += [] if segmentation else ["segmentation"]
    image["annotations"] = [without(first, *drop), second]
    instances = training(
        *([T.HFlipTransform(WIDTH)] if flip else []),
        use_instance_mask=True,
        use_keypoint=True,
        keypoint_hflip_indices=FLIPS,
    )(image)["instances"]
    # Masks are trained: somebody without one would be background to them.
    assert len(instances) == (2 if segmentation else 1)
    present = [points, True] if segmentation else [True]
    assert instances.gt_densepose.present.tolist() == present
    if segmentation:
        visible = (instances.gt_keypoints.tensor[:, :, 2] > 0).any(1)
        assert visible.tolist() == [keypoints, True]
        if points:
            assert (instances.gt_densepose[0].segm is not None) == masks
    assert len(instances.gt_masks) == len(instances)


def test_pictures_in_which_nobody_has_dense_pose(image):
    image["annotations"] = [without(p, "dp_") for p in image["annotations"]]
    instances = training()(image)["instances"]
    assert len(instances) == 2
    assert not instances.gt_densepose.present.any()


@pytest.mark.parametrize("crowd", [False, True])
def test_pictures_without_people_have_empty_fields(image, crowd):
    image["annotations"] = [{**p, "iscrowd": 1} for p in image["annotations"]] if crowd else []
    instances = training(T.HFlipTransform(WIDTH), use_instance_mask=True)(image)["instances"]
    assert len(instances) == 0
    assert len(instances.gt_densepose) == 0


def test_people_cropped_away_leave_with_their_dense_pose(image):
    x, y, w, h = image["annotations"][1]["bbox"]
    image["annotations"][0]["bbox"] = [x + w + 1.0, y, 10.0, h]
    crop = T.CropTransform(int(x), int(y), int(w), int(h))
    instances = training(crop)(image)["instances"]
    assert len(instances) == len(instances.gt_densepose) == 1
    expected = len(image["annotations"][1]["dp_x"])
    assert 0 < len(instances.gt_densepose[0].x) <= expected


def box_rle(x: int, y: int, w: int, h: int) -> dict:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[y : y + h, x : x + w] = 1
    return coco_mask.encode(mask)


@pytest.mark.parametrize("forms", ["polygons", "rle", "both"])
@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("mask_format", ["polygon", "bitmask"])
def test_polygons_and_run_lengths_give_the_same_masks(image, forms, crop, mask_format):
    boxes = [(20, 30, 60, 80), (90, 50, 70, 60)]
    for n, (person, (x, y, w, h)) in enumerate(zip(image["annotations"], boxes)):
        person["bbox"] = [x, y, w, h]
        polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        is_rle = forms == "rle" or (forms == "both" and n == 1)
        person["segmentation"] = box_rle(x, y, w, h) if is_rle else polygon
    instances = training(
        *([T.CropTransform(30, 20, 100, 120)] if crop else []),
        T.HFlipTransform(100 if crop else WIDTH),
        use_instance_mask=True,
        recompute_boxes=crop,
        instance_mask_format=mask_format,
    )(image)["instances"]
    expected = [[50, 10, 100, 90], [0, 30, 40, 90]] if crop else [[120, 30, 180, 110], None]
    np.testing.assert_allclose(instances.gt_boxes.tensor[0], expected[0], atol=1)
    np.testing.assert_allclose(instances.gt_masks.get_bounding_boxes().tensor[0], expected[0])
    if crop:
        np.testing.assert_allclose(instances.gt_boxes.tensor[1], expected[1], atol=1)
    plain = forms == "polygons" and not crop and mask_format == "polygon"
    assert isinstance(instances.gt_masks, PolygonMasks if plain else BitMasks)
    cropped = instances.gt_masks.crop_and_resize(instances.gt_boxes.tensor, 28)
    assert cropped.float().mean() > 0.97


def test_flips_without_a_surface_are_refused(image):
    flip = training(T.HFlipTransform(WIDTH))
    del image["surface"]
    assert flip({**image, "annotations": []})["instances"].has("gt_densepose")
    with pytest.raises(ValueError, match=r"1\.jpg, image 1: its dataset names no surface"):
        flip(image)


def test_a_surface_without_its_mirror_file_is_no_damaged_picture(image, tmp_path):
    image["surface"] = str(tmp_path)
    with pytest.raises(ValueError, match=r"1\.jpg, image 1: .*UV_symmetry_transforms\.mat"):
        training(T.HFlipTransform(WIDTH))(image)
    image["surface"] = "nobody"
    with pytest.raises(ValueError, match=r"1\.jpg, image 1: .*no surface 'nobody'"):
        training(T.HFlipTransform(WIDTH))(image)


def test_lists_as_other_readers_leave_them_are_accepted(image, caplog):
    """Lists as Detectron2's own COCO reader leaves them; a wrong one is left out, and reported."""
    first, second = image["annotations"]
    for key in ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V"):
        first[key], second[key] = first[key].tolist(), second[key].tolist()
    painted = painted_map(first["dp_masks"])
    for person in (first, second):
        parts = (painted == part for part in range(1, 15))
        person["dp_masks"] = [coco_mask.encode(np.asfortranarray(m, np.uint8)) for m in parts]
    second["dp_I"][3] = 99.0
    train = training()
    with caplog.at_level(logging.WARNING):
        instances = train(image)["instances"]
        train(image)
    assert instances.gt_densepose.present.tolist() == [True, False]
    np.testing.assert_allclose(instances.gt_densepose[0].x, first["dp_x"], atol=1e-3)
    np.testing.assert_array_equal(instances.gt_densepose[0].segm, painted)
    (record,) = caplog.records
    assert "1.jpg, image 1, annotation 2: dp_I[3] = 99, expected a part" in record.getMessage()


def test_keypoints_need_to_know_their_mirror_images():
    with pytest.raises(ValueError, match="keypoint_hflip_indices"):
        training(use_keypoint=True)


def test_boxes_of_either_mode_give_the_same_instances(image):
    expected = training()(image)["instances"]
    for person in image["annotations"]:
        x, y, w, h = person["bbox"]
        person.update(bbox=[x, y, x + w, y + h], bbox_mode=BoxMode.XYXY_ABS)
    found = training()(image)["instances"]
    np.testing.assert_allclose(found.gt_boxes.tensor, expected.gt_boxes.tensor)
    np.testing.assert_allclose(found.gt_densepose.x, expected.gt_densepose.x, atol=1e-3)


@pytest.mark.parametrize("mask_format", ["polygon", "bitmask"])
@pytest.mark.parametrize("augmentations", [[], [T.CropTransform(0, 0, 190, 150)]])
def test_people_without_a_mask_stay_where_they_are_kept(image, mask_format, augmentations):
    first, _ = image["annotations"]
    del first["segmentation"]
    arguments = {"use_instance_mask": True, "instance_mask_format": mask_format}
    left_out = training(*augmentations, **arguments)(image)["instances"]
    kept = training(
        *augmentations, **arguments, keep_without_mask=True, recompute_boxes=bool(augmentations)
    )(image)["instances"]
    assert (len(left_out), len(kept)) == (1, 2)
    assert kept.gt_masks.nonempty().tolist() == [False, True]
    assert len(kept.gt_densepose[0].x) > 0
    x, y, w, h = first["bbox"]
    expected = [x, y, min(x + w, 190), min(y + h, 150)] if augmentations else [x, y, x + w, y + h]
    np.testing.assert_allclose(kept.gt_boxes.tensor[0], expected, rtol=1e-5)
