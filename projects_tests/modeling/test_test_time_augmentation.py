"""Test-time augmentation: versions of a picture, transformed back and averaged."""

import numpy as np
import pytest
import torch
from detectron2.data import transforms as T
from detectron2.modeling import GeneralizedRCNNWithTTA

from densepose_ext.modeling.test_time_augmentation import (
    DensePoseMapperTTA,
    DensePoseRCNNWithTTA,
    _MapMirror,
    _ToOriginal,
)
from densepose_ext.structures import DensePoseOutput
from densepose_ext.surface.parts import FINE_MIRROR
from densepose_ext.surface.registry import get_surface
from projects_tests.tiny_model import picture, tiny_config, tiny_model

pytestmark = pytest.mark.slow

AUG = "TEST.AUG."
SMALL = [AUG + "ENABLED", True, AUG + "MIN_SIZES", (96, 112)]


@pytest.fixture
def surface(surface_folder):
    return get_surface(surface_folder)


def augmented(surface, *overrides):
    settings = [*SMALL, *overrides]
    return DensePoseRCNNWithTTA(tiny_config(*settings), tiny_model(*settings), surface=surface)


@pytest.mark.parametrize(
    "overrides",
    [[], ["MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True], [AUG + "ROTATION_ANGLES", (25,)]],
    ids=["boxes", "multitask", "rotated"],
)
def test_every_detection_has_averaged_dense_pose(surface, overrides):
    (output,) = augmented(surface, *overrides)([picture()])
    instances = output["instances"]
    assert len(instances) > 0
    assert len(instances.pred_densepose) == len(instances)
    assert torch.isfinite(instances.pred_densepose.u).all()


@pytest.mark.parametrize("angles", [(), (25,)])
def test_boxes_and_maps_are_those_of_two_whole_passes(surface, angles):
    """The backbone runs once per version, with the same results as Detectron2's two runs."""

    class InTwoPasses(DensePoseRCNNWithTTA):
        def _features(self, versions):
            return list(versions)

        _batch_inference = GeneralizedRCNNWithTTA._batch_inference

    settings = [*SMALL, AUG + "ROTATION_ANGLES", angles]
    versions = 4 * (1 + len(angles))
    found, seen = [], []

    def count(backbone, inputs, features):
        seen[-1] += len(inputs[0])

    for kind in (DensePoseRCNNWithTTA, InTwoPasses):
        model = tiny_model(*settings)
        seen.append(0)
        model.backbone.register_forward_hook(count)
        (output,) = kind(tiny_config(*settings), model, surface=surface, batch_size=2)([picture()])
        found.append(output["instances"])
    assert seen == [versions, versions + 4]
    one, other = found
    assert len(one) > 0
    assert torch.equal(one.pred_boxes.tensor, other.pred_boxes.tensor)
    assert torch.equal(one.pred_densepose.u, other.pred_densepose.u)


def test_without_detections_dense_pose_is_empty(surface):
    (output,) = augmented(surface, "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 1.0)([picture()])
    assert len(output["instances"]) == 0
    assert len(output["instances"].pred_densepose) == 0


def test_one_version_of_the_original_size_changes_nothing(surface):
    settings = [AUG + "MIN_SIZES", (96,), AUG + "FLIP", False]
    with torch.no_grad():
        (plain,) = tiny_model()([picture()])
    model = DensePoseRCNNWithTTA(tiny_config(*settings), tiny_model(*settings))
    (output,) = model([picture()])
    one, other = plain["instances"], output["instances"]
    torch.testing.assert_close(one.pred_boxes.tensor, other.pred_boxes.tensor, atol=1e-3, rtol=0)
    torch.testing.assert_close(one.pred_densepose.u, other.pred_densepose.u, rtol=1e-3, atol=1e-3)


def test_a_mirror_image_of_a_picture_gives_the_mirrored_answer(surface):
    """With flips, the average of a picture and of its mirror image are each other's mirror."""
    model = augmented(surface)
    plain = picture()
    flipped = {**plain, "image": plain["image"].flip(2)}
    (one,), (other,) = model([plain]), model([flipped])
    one, other = one["instances"], other["instances"]
    width = plain["width"]
    x0, y0, x1, y1 = other.pred_boxes.tensor.T
    mirrored = torch.stack([width - x1, y0, width - x0, y1], dim=1)
    torch.testing.assert_close(one.pred_boxes.tensor, mirrored, atol=0.05, rtol=0)
    ours = one.pred_densepose.fine_segm
    theirs = other.pred_densepose.fine_segm.flip(3)[:, torch.as_tensor(FINE_MIRROR)]
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)


def test_mirrored_maps_exchange_left_and_right_and_map_u(surface):
    output = DensePoseOutput(
        torch.randn(2, 15, 4, 4), torch.randn(2, 25, 4, 4), torch.rand(2, 25, 4, 4),
        torch.rand(2, 25, 4, 4),
    )  # fmt: skip
    mirror = _MapMirror(surface)
    mirrored = mirror(output)
    right_hand, left_hand = 3, 4
    assert torch.equal(mirrored.fine_segm[:, right_hand], output.fine_segm[:, left_hand])
    # The made-up surface has U' = 1 - U, V' = V, in steps of 1 / 255.
    torch.testing.assert_close(
        mirrored.u[:, right_hand], 1 - output.u[:, left_hand], atol=1 / 255, rtol=0
    )
    torch.testing.assert_close(
        mirrored.v[:, right_hand], output.v[:, left_hand], atol=1 / 255, rtol=0
    )
    assert torch.equal(mirrored.u[:, 0], mirrored.u[:, 0].clamp(0, 1))
    assert torch.equal(mirror(mirrored).fine_segm, output.fine_segm)


@pytest.mark.parametrize(
    "steps",
    [
        [T.HFlipTransform(100)],
        [T.ResizeTransform(80, 100, 160, 150), T.HFlipTransform(150)],
        [T.RotationTransform(80, 100, 30, expand=False)],
        [T.HFlipTransform(100), T.RotationTransform(80, 100, -70, expand=False)],
    ],
    ids=["flip", "resize and flip", "rotation", "flip and rotation"],
)
def test_maps_are_brought_back_to_the_original_box(steps):
    """A map that shows a function of the place in the original picture shows it again."""
    from densepose_ext.data.transforms import affine_matrix

    side = 40
    transforms = T.TransformList(steps)
    matrix = affine_matrix(transforms)
    box = np.array([[20.0, 10, 60, 50]])
    version_box = transforms.apply_box(box)

    def cells(b):  # positions of the cells of a map over a box
        x = b[0, 0] + (np.arange(side) + 0.5) / side * (b[0, 2] - b[0, 0])
        y = b[0, 1] + (np.arange(side) + 0.5) / side * (b[0, 3] - b[0, 1])
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

    def shown(positions):
        return torch.from_numpy(positions @ [0.7, -0.4]).reshape(1, 1, side, side).float()

    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    original_of_version = cells(version_box) @ inverse[:, :2].T + inverse[:, 2]
    back = _ToOriginal(matrix, torch.from_numpy(box).float(), torch.from_numpy(version_box).float())
    found = back(shown(original_of_version))
    torch.testing.assert_close(found, shown(cells(box)), atol=1e-2, rtol=1e-3)


def test_versions_are_all_sizes_flips_and_angles():
    cfg = tiny_config(*SMALL, AUG + "ROTATION_ANGLES", (0, 10))
    versions = DensePoseMapperTTA(cfg)(picture())
    assert len(versions) == 2 * 2 * 2
    sizes = {tuple(version["image"].shape) for version in versions}
    assert sizes == {(3, 96, 128), (3, 112, 149)}


def test_flips_without_a_surface_are_refused():
    settings = [*SMALL, "DATASETS.TEST", ()]
    with pytest.raises(ValueError, match=r"TEST\.AUG\.FLIP needs the surface"):
        DensePoseRCNNWithTTA(tiny_config(*settings), tiny_model(*settings))
