"""The optimizer of a config."""

import copy

import pytest
import torch
from torch import nn

from densepose_ext import get_config_file, load_config
from densepose_ext.engine.muon import MuonAdamW
from densepose_ext.engine.optimizer import build_optimizer, hidden_weights
from densepose_ext.modeling.build import build_model
from projects_tests.tiny_model import tiny_config

ADAMW = ["SOLVER.OPTIMIZER", "AdamW", "SOLVER.BASE_LR", 0.01, "SOLVER.BACKBONE_LR_FACTOR", 0.1]


def rates(model, optimizer) -> dict[str, float]:
    """Learning rate of every parameter that is trained, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: group["lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_adamw_slows_the_layers_below_the_fpn():
    cfg = tiny_config(*ADAMW)
    model = build_model(cfg)
    optimizer = build_optimizer(cfg, model)
    assert isinstance(optimizer, torch.optim.AdamW)
    found = rates(model, optimizer)
    assert found.keys() == {n for n, p in model.named_parameters() if p.requires_grad}
    for name, rate in found.items():
        expected = 0.001 if name.startswith("backbone.bottom_up.") else 0.01
        assert rate == pytest.approx(expected), name


@pytest.mark.parametrize("kind", ["AdamW", "Muon"])
def test_momentum_and_beta_are_those_of_the_config(kind):
    cfg = tiny_config("SOLVER.OPTIMIZER", kind, "SOLVER.MOMENTUM", 0.8, "SOLVER.BETA2", 0.98)
    groups = build_optimizer(cfg, build_model(cfg)).param_groups
    assert {group["betas"] for group in groups} == {(0.9, 0.98)}
    assert {group.get("momentum") for group in groups} == {0.8 if kind == "Muon" else None}


@pytest.mark.slow
def test_muon_trains_hidden_layers_and_adamw_the_rest():
    heads = ["MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True]
    cfg = tiny_config("SOLVER.OPTIMIZER", "Muon", "SOLVER.BACKBONE_LR_FACTOR", 0.1, *heads)
    model = build_model(cfg)
    optimizer = build_optimizer(cfg, model)
    assert isinstance(optimizer, MuonAdamW)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_muon, by_adamw = (
        {names[id(p)] for g in optimizer.param_groups if g["orthogonal"] is o for p in g["params"]}
        for o in (True, False)
    )
    assert by_muon | by_adamw == {n for n, p in model.named_parameters() if p.requires_grad}
    assert not by_muon & by_adamw
    assert {"backbone.fpn_output2.weight", "roi_heads.box_head.fc1.weight"} <= by_muon
    assert "roi_heads.densepose_head.body_conv_fcn1.weight" in by_muon
    assert not any("bottom_up" in n or n.endswith("bias") for n in by_muon)
    for last in (
        *("box_predictor", "densepose_predictor", "objectness_logits", "anchor_deltas"),
        *("mask_head.predictor", "keypoint_head.score_lowres"),
    ):
        assert any(last in n for n in by_adamw), last
        assert not any(last in n for n in by_muon)


def test_muon_leaves_depthwise_convolutions_alone():
    whole, depthwise = nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3, groups=6)
    assert hidden_weights(nn.Sequential(whole, depthwise)) == {whole.weight}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["AdamW", "Muon"])
def test_a_resumed_optimizer_goes_on_to_the_bit(kind):
    cfg = tiny_config("SOLVER.OPTIMIZER", kind, "SOLVER.CLIP_GRADIENTS.ENABLED", True)

    def run(model, optimizer, steps):
        for step in steps:
            generator = torch.Generator().manual_seed(step)
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()

    whole, half, resumed = (build_model(cfg) for _ in range(3))
    half.load_state_dict(whole.state_dict())
    optimizer = build_optimizer(cfg, half)
    run(whole, build_optimizer(cfg, whole), range(4))
    run(half, optimizer, range(2))
    resumed.load_state_dict(half.state_dict())
    again = build_optimizer(cfg, resumed)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(resumed, again, range(2, 4))
    for (name, one), other in zip(whole.named_parameters(), resumed.parameters()):
        assert torch.equal(one, other), name


def test_sgd_is_the_default():
    cfg = tiny_config()
    assert cfg.SOLVER.OPTIMIZER == "SGD"
    optimizer = build_optimizer(cfg, build_model(cfg))
    assert isinstance(optimizer, torch.optim.SGD)


def test_adamw_clips_gradients_where_asked():
    cfg = tiny_config(*ADAMW, "SOLVER.CLIP_GRADIENTS.ENABLED", True)
    cfg.defrost()
    cfg.SOLVER.CLIP_GRADIENTS.CLIP_TYPE, cfg.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = "norm", 0.5
    model = build_model(cfg)
    optimizer = build_optimizer(cfg, model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 10.0)
    optimizer.step()
    norms = [p.grad.norm().item() for p in model.parameters() if p.requires_grad]
    assert max(norms) == pytest.approx(0.5, rel=1e-3)


def test_unknown_optimizer_is_refused_with_its_key():
    with pytest.raises(ValueError, match=r"SOLVER\.OPTIMIZER = 'Adam'"):
        tiny_config("SOLVER.OPTIMIZER", "Adam")


@pytest.mark.slow
def test_channels_last_changes_the_memory_and_not_the_result():
    overrides = ["MODEL.DEVICE", "cpu", "MODEL.TIMM.WEIGHTS", ""]
    path = get_config_file("densepose_rcnn_EffLite0_FPN_synth.yaml")
    outputs = []
    for channels_last in (False, True):
        torch.manual_seed(0)
        model = build_model(load_config(path, [*overrides, "MODEL.CHANNELS_LAST", channels_last]))
        weight = model.backbone.fpn_output2.weight
        assert weight.is_contiguous(memory_format=torch.channels_last) is channels_last
        with torch.no_grad():
            outputs.append(model.eval().backbone(torch.ones(1, 3, 64, 64))["p2"])
    torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)
