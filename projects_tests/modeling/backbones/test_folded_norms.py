"""Frozen norms computed as part of convolutions."""

import copy
import pickle

import pytest
import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d, get_norm
from detectron2.modeling.backbone.resnet import BasicStem, BottleneckBlock
from torch import nn
from torch.nn import functional as F

from densepose_ext.modeling.backbones.folded_norms import ConvWithFrozenNorm, fold_frozen_norms


def network() -> nn.Module:
    torch.manual_seed(0)
    block = BottleneckBlock(8, 12, bottleneck_channels=4, stride=2, norm="FrozenBN", num_groups=2)
    body = nn.Sequential(BasicStem(3, 8, norm="FrozenBN"), block)
    for module in body.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_()
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return body


@pytest.fixture
def pair():
    plain = network()
    folded = copy.deepcopy(plain)
    assert fold_frozen_norms(folded) == 5
    return plain, folded


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_features_and_gradients_are_equal(pair, layout):
    image = torch.randn(2, 3, 48, 64).contiguous(memory_format=layout)
    outputs = [body(image) for body in pair]
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
    for output in outputs:
        output.square().mean().backward()
    for one, other in zip(*(body.parameters() for body in pair)):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_checkpoints_keep_their_names_and_take_effect(pair):
    plain, folded = pair
    state = plain.state_dict()
    assert list(folded.state_dict()) == list(state)
    image = torch.randn(1, 3, 32, 32)
    before = folded(image)
    folded.load_state_dict({name: value * 1.1 for name, value in state.items()})
    assert not torch.equal(folded(image), before)
    folded.load_state_dict(state)
    torch.testing.assert_close(folded(image), before)


def _scale_norm(body):
    body[0].conv1.norm.weight.mul_(2)


def _load(body):
    body.load_state_dict({name: value * 1.1 for name, value in body.state_dict().items()})


def _replace_memory(body):
    weight = body[0].conv1.weight
    weight.data = weight.data * 2


def _train(body):
    body(torch.randn(1, 3, 32, 32)).sum().backward()
    for parameter in body.parameters():
        parameter.data.sub_(0.1 * parameter.grad)


@pytest.mark.parametrize("change", [_scale_norm, _load, _replace_memory, _train, nn.Module.double])
def test_kept_weights_follow_every_change(pair, change):
    _, folded = pair
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before = folded(image)
        assert torch.equal(folded(image), before)
    change(folded)
    image = image.to(folded[0].conv1.weight.dtype)
    with torch.no_grad():
        after = folded(image)
    assert torch.equal(after, folded(image))  # computed anew, for gradients
    assert not torch.equal(after.float(), before)


def test_weights_are_kept_at_inference(pair, monkeypatch):
    _, folded = pair
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        before = folded(image)
        monkeypatch.setattr("densepose_ext.modeling.backbones.folded_norms.scale_and_shift", None)
        assert torch.equal(folded(image), before)


def test_copies_and_pickles_keep_nothing(pair):
    _, folded = pair
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        before = folded(image)
    for twin in (copy.deepcopy(folded), pickle.loads(pickle.dumps(folded))):
        with torch.no_grad():
            assert torch.equal(twin(image), before)
            _scale_norm(folded)
            assert torch.equal(twin(image), before)
    with torch.inference_mode():
        made_here = copy.deepcopy(folded)
        assert torch.equal(made_here(image), folded(image))


def test_activation_comes_last():
    conv = Conv2d(3, 4, 3, bias=False, norm=get_norm("FrozenBN", 4), activation=F.relu)
    image = torch.randn(1, 3, 9, 9)
    found = ConvWithFrozenNorm(conv)(image)
    torch.testing.assert_close(found, conv(image))
    assert found.min() == 0


def test_convolutions_without_a_frozen_norm_are_left_alone():
    others = nn.Sequential(
        Conv2d(3, 4, 3),
        Conv2d(4, 4, 3, bias=False, norm=get_norm("BN", 4)),
        Conv2d(4, 4, 3, bias=True, norm=get_norm("FrozenBN", 4)),
        nn.Conv2d(4, 4, 3, bias=False),
    )
    before = [type(module) for module in others]
    assert fold_frozen_norms(others) == 0
    assert [type(module) for module in others] == before
