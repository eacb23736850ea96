"""A cascade that starts from the weights of a model without one."""

import logging

import pytest
import torch

from projects_tests.tiny_model import picture, tiny_model

pytestmark = pytest.mark.slow  # each builds models

STAGES = [
    "MODEL.KEYPOINT_ON", True, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", (16,),
    "MODEL.DENSEPOSE_CASCADE.STAGES", 3,
    "MODEL.DENSEPOSE_CASCADE.TASKS", ["densepose", "keypoint"],
]  # fmt: skip
CONVS = "MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS"
CONVS_OF_LATER = "MODEL.DENSEPOSE_CASCADE.NUM_STACKED_CONVS"


def found_by(model):
    with torch.no_grad():
        return model.eval()([picture()])[0]["instances"]


def test_it_starts_with_the_outputs_of_that_model(caplog):
    plain = tiny_model(CONVS, 1)
    cascade = tiny_model(*STAGES, CONVS, 1, CONVS_OF_LATER, 1)
    with caplog.at_level(logging.INFO):
        loaded = cascade.load_state_dict(plain.state_dict(), strict=False)
    assert loaded.unexpected_keys == []
    assert not any("densepose" in name and ".talk" not in name for name in loaded.missing_keys)
    assert "stage3 of the cascade: densepose starts as a copy of the first" in caplog.text
    expected, found = found_by(plain), found_by(cascade)
    assert len(expected) > 0
    torch.testing.assert_close(found.pred_densepose.u, expected.pred_densepose.u)
    # Copies, not shared: training changes them apart.
    first = next(cascade.roi_heads.densepose_head.parameters())
    second = next(cascade.roi_heads.cascade.stage2.densepose_head.parameters())
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()


def test_own_weights_are_kept():
    saved = tiny_model(*STAGES, CONVS, 1, CONVS_OF_LATER, 1).state_dict()
    name = "roi_heads.cascade.stage2.densepose_predictor.u_lowres.bias"
    saved[name] = torch.full_like(saved[name], 7.0)
    model = tiny_model(*STAGES, CONVS, 1, CONVS_OF_LATER, 1)
    assert model.load_state_dict(saved).missing_keys == []
    assert torch.equal(model.state_dict()[name], saved[name])


def test_stages_of_other_layers_are_not_copied():
    plain = tiny_model(CONVS, 2)
    cascade = tiny_model(*STAGES, CONVS, 2, CONVS_OF_LATER, 1)
    missing = cascade.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert "roi_heads.cascade.stage2.densepose_predictor.u_lowres.weight" in missing
