"""The mapper that a config asks for."""

import pytest
import torch
from detectron2.config import get_cfg

from densepose_ext.config import add_densepose_config
from densepose_ext.data import DensePoseDatasetMapper


def config(**changes):
    cfg = get_cfg()
    add_densepose_config(cfg)
    cfg.INPUT.MIN_SIZE_TRAIN = (0,)  # as they are
    cfg.DATASETS.TRAIN = ("densepose_coco_2014_train",)
    cfg.merge_from_list([value for item in changes.items() for value in item])
    return cfg


def test_defaults(image):
    instances = DensePoseDatasetMapper(config(), True)(image)["instances"]
    assert instances.has("gt_densepose")
    assert not instances.has("gt_masks")
    assert not instances.has("gt_keypoints")


def test_without_dense_pose(image):
    cfg = config(**{"MODEL.DENSEPOSE_ON": False})
    assert not DensePoseDatasetMapper(cfg, True)(image)["instances"].has("gt_densepose")


def test_all_heads(image):
    cfg = config(**{"MODEL.MASK_ON": True, "MODEL.KEYPOINT_ON": True})
    instances = DensePoseDatasetMapper(cfg, True)(image)["instances"]
    assert set(instances.get_fields()) == {
        *("gt_boxes", "gt_classes", "gt_masks", "gt_keypoints", "gt_densepose")
    }


def test_a_model_of_another_skeleton_is_refused():
    cfg = config(**{"MODEL.KEYPOINT_ON": True, "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS": 21})
    with pytest.raises(ValueError, match=r"NUM_KEYPOINTS = 21, expected 17, .* of densepose_coco"):
        DensePoseDatasetMapper(cfg, True)
    DensePoseDatasetMapper(cfg, False)  # a test needs none


def test_coarse_segmentation_by_masks(image):
    key = "MODEL.ROI_DENSEPOSE_HEAD.COARSE_SEGM_TRAINED_BY_MASKS"
    instances = DensePoseDatasetMapper(config(**{key: True}), True)(image)["instances"]
    assert instances.has("gt_masks")


@pytest.mark.parametrize("masks", [True, False])
def test_crops(image, masks):
    cfg = config(
        **{
            "INPUT.CROP.ENABLED": True,
            "INPUT.CROP.TYPE": "relative",
            "INPUT.CROP.SIZE": [0.5, 0.5],
            "INPUT.MIN_SIZE_TRAIN": (image["height"],),
            "MODEL.MASK_ON": masks,
        }
    )
    train = DensePoseDatasetMapper(cfg, True)
    for _ in range(10):
        mapped = train(image)
        assert mapped["image"].shape[1:] == (image["height"], image["width"])
        assert len(mapped["instances"]) == len(mapped["instances"].gt_densepose)


def test_rotations_and_colours_in_training_only(image):
    cfg = config(**{"INPUT.ROTATION_ANGLES": [90], "INPUT.COLOR_JITTER": 0.4})
    names = [type(a).__name__ for a in DensePoseDatasetMapper(cfg, True).augmentations.augs]
    assert names == [
        *("ResizeShortestEdge", "RandomFlip", "RandomRotation"),
        *("RandomBrightness", "RandomContrast", "RandomSaturation"),
    ]
    mapped = DensePoseDatasetMapper(cfg, True)(image)
    assert mapped["image"].dtype == torch.uint8
    boxes = mapped["instances"].gt_boxes.tensor
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    names = [type(a).__name__ for a in DensePoseDatasetMapper(cfg, False).augmentations.augs]
    assert names == ["ResizeShortestEdge"]


def test_neither_by_default():
    names = [type(a).__name__ for a in DensePoseDatasetMapper(config(), True).augmentations.augs]
    assert names == ["ResizeShortestEdge", "RandomFlip"]
