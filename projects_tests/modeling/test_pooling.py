"""RoIAlign as sums of rows, compared with Detectron2's poolers."""

import pytest
import torch
from detectron2.modeling.poolers import ROIPooler
from detectron2.structures import Boxes
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.modeling.pooling import RowPooler
from projects_tests.tiny_model import picture, tiny_model

STRIDES = (8, 16, 32)
CHANNELS = 5


def levels(images, height, width, strides=STRIDES, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(
            images, CHANNELS, -(-height // s), -(-width // s), generator=generator
        ).requires_grad_()
        for s in strides
    ]


def boxes(counts, height, width, seed=0):
    """Of all sizes, some beyond the picture, some without area."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for count in counts:
        corners = torch.rand(count, 2, 2, generator=generator) * 2 - 0.5
        corners = corners.sort(dim=1).values * torch.tensor([width, height])
        corners[::5, 1] = corners[::5, 0]
        made.append(Boxes(corners.flatten(1)))
    return made


def pooler(size=7, samples=2, kind="ROIAlignV2", strides=STRIDES):
    return ROIPooler(size, [1 / s for s in strides], samples, kind)


def assert_same(ours, theirs, features):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    for mine, its in zip(
        torch.autograd.grad(ours, features, weights),
        torch.autograd.grad(theirs, features, weights),
    ):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=3),
    height=st.integers(40, 400),
    width=st.integers(40, 400),
    size=st.sampled_from([3, 7, (14, 14)]),
    samples=st.integers(1, 3),
    kind=st.sampled_from(["ROIAlign", "ROIAlignV2"]),
    strides=st.sampled_from([STRIDES, (4,)]),
    seed=st.integers(0, 100),
)
def test_values_and_gradients_are_those_of_detectron2(
    counts, height, width, size, samples, kind, strides, seed
):
    theirs = pooler(size, samples, kind, strides)
    features = levels(len(counts), height, width, strides, seed)
    rois = boxes(counts, height, width, seed)
    assert_same(RowPooler(theirs)(features, rois), theirs(features, rois), features)


def test_without_rois_every_level_has_a_gradient_of_zero():
    features = levels(2, 64, 64)
    pooled = RowPooler(pooler())(features, boxes([0, 0], 64, 64))
    assert pooled.shape == (0, CHANNELS, 7, 7)
    for gradient, level in zip(torch.autograd.grad(pooled.sum(), features), features):
        assert torch.equal(gradient, torch.zeros_like(level))


@pytest.mark.parametrize(("samples", "kind"), [(0, "ROIAlignV2"), (2, "ROIPool")])
def test_adaptive_samples_and_other_poolings_are_left_to_detectron2(samples, kind):
    theirs = pooler(samples=samples, kind=kind)
    features, rois = levels(1, 128, 96), boxes([9], 128, 96)
    assert torch.equal(RowPooler(theirs)(features, rois), theirs(features, rois))


def test_low_precision_is_summed_in_single_precision():
    theirs = pooler()
    features = [level.detach().bfloat16() for level in levels(1, 128, 96)]
    rois = boxes([9], 128, 96)
    pooled = RowPooler(theirs)(features, rois)
    assert pooled.dtype == torch.bfloat16
    exact = theirs([level.float() for level in features], rois)
    torch.testing.assert_close(pooled, exact.bfloat16(), rtol=2**-7, atol=2**-7)


@pytest.mark.slow
@pytest.mark.parametrize("branch", ["box", "mask", "keypoint", "densepose"])
def test_every_branch_of_the_model_pools_rows(branch, monkeypatch):
    settings = ["MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True]
    for head in ("MASK", "KEYPOINT"):  # by default these take as many samples as a box is large
        settings += [f"MODEL.ROI_{head}_HEAD.POOLER_SAMPLING_RATIO", 2]
    model = tiny_model(*settings)
    used = getattr(model.roi_heads, f"{branch}_pooler")
    assert isinstance(used, RowPooler)

    def refused(*arguments):
        raise AssertionError("torchvision's kernel was used")

    monkeypatch.setattr(used.pooler, "forward", refused)
    with torch.no_grad():
        (output,) = model([picture()])
    assert len(output["instances"]) > 0
