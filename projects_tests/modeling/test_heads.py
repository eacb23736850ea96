"""The heads, and how registered parts are found by name."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from torch.nn import functional as F

from densepose_ext import get_config_file, load_config
from densepose_ext.modeling import DensePoseDecoder, DensePoseDeepLabHead, DensePoseV1ConvXHead
from densepose_ext.modeling.deeplab import ASPP_DILATIONS
from densepose_ext.modeling.registry import (
    build_densepose_head,
    build_densepose_loss,
    build_densepose_predictor,
)


def test_plain_head_is_a_stack_of_convolutions():
    head = DensePoseV1ConvXHead(4, num_convs=2, conv_dim=6)
    x = torch.randn(2, 4, 7, 7)
    expected = x
    for layer in (head.body_conv_fcn1, head.body_conv_fcn2):
        expected = F.relu(F.conv2d(expected, layer.weight, layer.bias, padding=1))
    torch.testing.assert_close(head(x), expected)
    assert head.output_channels == 6


@pytest.mark.parametrize("side", [5, 14, 28])
def test_wide_dilations_need_no_outer_taps(side):
    """If every outer tap lies in the padding, the shortcut equals the convolution."""
    aspp = DensePoseDeepLabHead(32, num_convs=1, conv_dim=32).ASPP
    x = torch.randn(2, 32, side, side)
    for branch, dilation in zip(list(aspp.convs)[1:4], ASPP_DILATIONS):
        plain = F.conv2d(x, branch[0].weight, padding=dilation, dilation=dilation)
        torch.testing.assert_close(branch[0](x), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 5), (7, 7), (14, 14), (14, 9), (28, 28)])
@pytest.mark.parametrize("in_training", [True, False])
def test_dilated_convolutions_have_the_gradients_of_plain_ones(shape, in_training):
    aspp = DensePoseDeepLabHead(32, num_convs=1, conv_dim=32).ASPP.double().train(in_training)
    x = torch.randn(2, 32, *shape, dtype=torch.float64, requires_grad=True)
    for branch, dilation in zip(list(aspp.convs)[1:4], ASPP_DILATIONS):
        weight = branch[0].weight
        plain = F.conv2d(x, weight, padding=dilation, dilation=dilation)
        seen = torch.randn_like(plain)
        for ours, expected in zip(
            torch.autograd.grad(branch[0](x), (x, weight), seen),
            torch.autograd.grad(plain, (x, weight), seen),
        ):
            torch.testing.assert_close(ours, expected)


def test_dilated_convolutions_train_under_autocast():
    head = DensePoseDeepLabHead(32, num_convs=1, conv_dim=32)
    x = torch.randn(2, 32, 14, 14, requires_grad=True)
    gradients = []
    for low_precision in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low_precision):
            total = head.ASPP.convs[1][0](x).float().square().sum()
        gradients.append(torch.autograd.grad(total, head.ASPP.convs[1][0].weight)[0])
    exact, rounded = gradients
    assert (exact - rounded).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize(("dilations", "reach"), [((2, 4, 8), 8), ((3,), 3), (ASPP_DILATIONS, 12)])
def test_aspp_sees_as_far_as_its_dilations(dilations, reach):
    own = "MODEL.ROI_DENSEPOSE_HEAD."
    cfg = load_config(
        get_config_file("densepose_rcnn_R_50_FPN_DL_s1x.yaml"),
        [own + "NUM_STACKED_CONVS", 0, own + "ASPP_DILATIONS", list(dilations)],
    )
    branches = list(build_densepose_head(cfg, 32).ASPP.convs)[1:-1]
    assert len(branches) == len(dilations)
    x = torch.randn(1, 32, 29, 29, requires_grad=True)
    # Before its normalization, in which every cell counts.
    seen = sum(branch[0](x)[:, :, 14, 14].sum() for branch in branches)
    (gradient,) = torch.autograd.grad(seen, x)
    rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (rows.min(), rows.max()) == (14 - reach, 14 + reach)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_aspp_projects_all_branches_side_by_side(memory_format):
    aspp = DensePoseDeepLabHead(32, num_convs=1, conv_dim=32).ASPP.to(memory_format=memory_format)
    x = torch.randn(2, 32, 14, 14).contiguous(memory_format=memory_format)
    branches = [branch(x).expand(-1, -1, 14, 14) for branch in aspp.convs]
    projected = aspp(x)
    torch.testing.assert_close(projected, aspp.project(torch.cat(branches, 1)))
    assert projected.is_contiguous(memory_format=memory_format)


def test_every_parameter_of_the_deeplab_head_has_a_gradient():
    head = DensePoseDeepLabHead(32, num_convs=1, conv_dim=32, nonlocal_on=True)
    head(torch.randn(2, 32, 8, 8)).sum().backward()
    assert [name for name, p in head.named_parameters() if p.grad is None] == []


def test_non_local_block_starts_as_the_identity():
    torch.manual_seed(1)
    plain = DensePoseDeepLabHead(32, num_convs=1, conv_dim=32)
    attentive = DensePoseDeepLabHead(32, num_convs=1, conv_dim=32, nonlocal_on=True)
    missing = attentive.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert {name.split(".")[0] for name in missing} == {"NLBlock"}
    x = torch.randn(2, 32, 8, 8)
    torch.testing.assert_close(plain(x), attentive(x))


def test_non_local_block_attends():
    """Once its normalization is trained, far pixels count: the output changes with one of them."""
    head = DensePoseDeepLabHead(32, num_convs=0, conv_dim=32, nonlocal_on=True)
    block = head.NLBlock
    torch.nn.init.ones_(block.W[1].weight)
    x = torch.randn(1, 32, 8, 8)
    changed = x.clone()
    changed[:, :, 0, 0] += 5
    assert not torch.allclose(block(x)[0, :, 7, 7], block(changed)[0, :, 7, 7])


def test_decoder_sums_levels_at_the_common_stride():
    shapes = {f"p{n}": ShapeSpec(channels=8, stride=2**n) for n in range(2, 6)}
    decoder = DensePoseDecoder(shapes, conv_dim=4, output_channels=6)
    features = {f"p{n}": torch.randn(1, 8, 64 // 2**n, 96 // 2**n) for n in range(2, 6)}
    assert decoder(features).shape == (1, 6, 16, 24)
    names = {name.rsplit(".", 1)[0] for name in decoder.state_dict()}
    assert names == {"p2.0", "p3.0", "p4.0", "p4.2", "p5.0", "p5.2", "p5.4", "predictor"}


def test_decoder_refuses_a_level_finer_than_its_result():
    with pytest.raises(ValueError, match="level p1 has stride 2"):
        DensePoseDecoder({"p1": ShapeSpec(channels=8, stride=2)}, conv_dim=4, output_channels=4)


@pytest.mark.parametrize(
    ("key", "build"),
    [
        ("NAME", lambda cfg: build_densepose_head(cfg, 8)),
        ("PREDICTOR_NAME", lambda cfg: build_densepose_predictor(cfg, 8)),
        ("LOSS_NAME", build_densepose_loss),
    ],
)
def test_an_unknown_name_lists_the_known_ones(key, build):
    cfg = load_config(
        get_config_file("densepose_rcnn_R_50_FPN_s1x.yaml"),
        [f"MODEL.ROI_DENSEPOSE_HEAD.{key}", "DensePoseUnheardOf"],
    )
    with pytest.raises(
        ValueError, match=rf"{key} = 'DensePoseUnheardOf', expected one of: DensePose"
    ):
        build(cfg)
