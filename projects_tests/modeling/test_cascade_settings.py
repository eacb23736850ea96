"""Settings that make no cascade are named."""

import pytest
from detectron2.modeling import ROI_MASK_HEAD_REGISTRY
from detectron2.modeling.roi_heads.mask_head import BaseMaskRCNNHead

from densepose_ext.modeling import DensePoseCascade
from projects_tests.modeling.tiny_cascades import ALL, CASCADE, cascade
from projects_tests.tiny_model import tiny_model

pytestmark = pytest.mark.slow  # each builds models


@ROI_MASK_HEAD_REGISTRY.register()
class HeadOfUnknownLayers(BaseMaskRCNNHead):
    """A mask head whose features cannot be intercepted."""


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([CASCADE + "STAGES", 0], r"DENSEPOSE_CASCADE\.STAGES = 0, expected 1 \(no cascade\)"),
        ([CASCADE + "TASKS", ["densepose", "hands"]], r"TASKS names 'hands', expected some of"),
        ([CASCADE + "TASKS", ["mask"]], r"TASKS = \['mask'\], expected 'densepose' among them"),
        (["MODEL.KEYPOINT_ON", False], r"TASKS names 'keypoint', but MODEL.KEYPOINT_ON = False"),
        (["MODEL.DENSEPOSE_ON", False], r"TASKS names 'densepose', but MODEL.DENSEPOSE_ON = Fal"),
        ([CASCADE + "CROSS_TALK", ["mask-densepose"]], r"CROSS_TALK has 'mask-densepose', expect"),
        (
            [CASCADE + "TASKS", ["densepose", "mask"], CASCADE + "CROSS_TALK", ["keypoint>mask"]],
            r"CROSS_TALK has 'keypoint>mask', but 'keypoint' is not in .*TASKS = \['dense",
        ),
        ([CASCADE + "LOSS_WEIGHTS", [1.0]], r"LOSS_WEIGHTS = \[1.0\], expected .* the 2 stages"),
        (
            ["MODEL.ROI_MASK_HEAD.NAME", "HeadOfUnknownLayers"],
            r"ROI_MASK_HEAD\.NAME = 'HeadOfUnknownLayers' cannot be in a cascade",
        ),
    ],
)
def test_settings_that_make_no_cascade_are_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(*cascade(ALL, *overrides))


def test_a_cascade_built_by_hand_names_what_is_wrong():
    stage = tiny_model(*cascade(["densepose"])).roi_heads.cascade.last
    for roi_channels, more, message in [
        ({"densepose": 32, "hands": 32}, {}, "a cascade of 'hands', expected some of densepose"),
        ({"mask": 32}, {}, "without 'densepose'"),
        ({"densepose": 32, "mask": 32}, {}, "of 'mask' with a stage that has no mask_head"),
        (
            {"densepose": 32},
            {"cross_talk": {"densepose": ["mask"]}},
            "cross-talk from 'mask'",
        ),
        ({"densepose": 32}, {"loss_weights": [1]}, "1 loss weights .* each of its 2 stages"),
    ]:
        with pytest.raises(ValueError, match=message):
            DensePoseCascade([stage], roi_channels, **more)
