"""Frozen norms folded into convolutions: the same results, gradients and checkpoints."""

import copy

import pytest
import torch
from torchvision.ops import FrozenBatchNorm2d

timm = pytest.importorskip("timm")

from densepose_ext.modeling import TimmBackbone  # noqa: E402
from densepose_ext.modeling.backbones.folded_timm_norms import AppliedNorm, fold_timm_norms  # noqa: E402

pytestmark = pytest.mark.slow


def frozen_model(name: str):
    torch.manual_seed(0)
    body = timm.create_model(name, features_only=True)
    for module in body.modules():
        if getattr(module, "running_var", None) is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return timm.layers.freeze_batch_norm_2d(body).eval()


@pytest.mark.parametrize(
    ("name", "all_norms", "size"),
    [
        ("tf_efficientnet_lite0", True, (64, 64)),  # asymmetric padding
        ("tf_efficientnet_lite0", True, (75, 98)),  # symmetric padding at odd lengths
        ("resnet18", True, (64, 64)),  # norms and activations apart
        ("resnetv2_50", False, (64, 64)),  # norms before convolutions, and shortcuts between
        ("densenet121", False, (64, 64)),  # norms of several convolutions together
    ],
)
def test_results_gradients_and_names_are_the_same(name, all_norms, size):
    # In double precision: in single, an activation at its kink can go either way.
    plain = frozen_model(name).double()
    fused = copy.deepcopy(plain)
    count = fold_timm_norms(fused, torch.zeros(1, 3, 64, 96).double())
    kinds = (FrozenBatchNorm2d, timm.layers.FrozenBatchNormAct2d)
    left = sum(isinstance(m, kinds) for m in fused.modules())
    assert count > 0
    assert (left == 0) is all_norms
    assert plain.state_dict().keys() == fused.state_dict().keys()
    image = torch.randn(2, 3, *size).double()
    gradients = []
    for model in (plain, fused):
        outputs = model(image)
        sum(output.square().mean() for output in outputs).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    for one, other in zip(plain(image), fused(image)):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10 * one.abs().max().item())
    assert gradients[0].keys() == gradients[1].keys()
    for key, one in gradients[0].items():
        scale = one.abs().max().item() + 1e-12
        torch.testing.assert_close(gradients[1][key] / scale, one / scale, rtol=0, atol=1e-9)


def test_checkpoints_of_norms_that_stand_alone_load():
    plain = frozen_model("tf_efficientnet_lite0")
    backbone = TimmBackbone("tf_efficientnet_lite0").eval()
    assert any(isinstance(m, AppliedNorm) for m in backbone.modules())
    backbone.body.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for one, other in zip(plain(image), backbone(image).values()):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * one.abs().max().item())


def test_a_copy_does_not_share_its_norms():
    fused = frozen_model("tf_efficientnet_lite0")
    fold_timm_norms(fused, torch.zeros(1, 3, 64, 96))
    twin = copy.deepcopy(fused)
    image = torch.randn(1, 3, 64, 64)
    before = twin(image)[-1]
    next(m for m in fused.modules() if isinstance(m, AppliedNorm)).weight.zero_()
    assert torch.equal(twin(image)[-1], before)
    assert not torch.equal(fused(image)[-1], before)


def test_strided_depthwise_convolutions_have_gradients_in_single_precision(monkeypatch):
    body = TimmBackbone("tf_efficientnet_lite0", freeze_at=0, freeze_depthwise=True).body
    picture = torch.randn(1, 3, 64, 64)
    gradients, types = [], []
    convolve = torch.nn.functional.conv2d

    def note(x, weight, bias, stride, padding, dilation, groups):
        if groups > 1 and stride != (1, 1):
            types.append(weight.dtype if not torch.is_autocast_enabled("cpu") else torch.bfloat16)
        return convolve(x, weight, bias, stride, padding, dilation, groups)

    monkeypatch.setattr("densepose_ext.modeling.backbones.folded_timm_norms.F.conv2d", note)
    for low_precision in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low_precision):
            total = sum(features.float().square().mean() for features in body(picture))
        gradients.append(torch.autograd.grad(total, body.conv_stem.weight)[0])
    assert set(types) == {torch.float32}
    exact, rounded = (gradient.flatten() for gradient in gradients)
    assert torch.cosine_similarity(exact, rounded, dim=0) > 0.9
