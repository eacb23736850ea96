"""Parts computed in low precision return single precision, near that of the model."""

import copy

import pytest
import torch

from densepose_ext.modeling.compiled import compile_model
from densepose_ext.modeling.nested_tensors import tensors_in
from densepose_ext.modeling.precision import lower_precision
from projects_tests.tiny_model import picture, tiny_model


def outputs(model) -> list[torch.Tensor]:
    """What backbone, RPN head and box head make of noise."""
    noise = torch.Generator().manual_seed(0)
    channels = model.backbone.output_shape()["p2"].channels
    levels = [torch.rand(1, channels, 48 >> n, 32 >> n, generator=noise) for n in range(5)]
    rois = torch.rand(3, channels, 7, 7, generator=noise)
    with torch.no_grad():
        found = (
            model.backbone(torch.rand(1, 3, 64, 96, generator=noise)),
            model.proposal_generator.rpn_head(levels),
            model.roi_heads.box_head(rois),
        )
    return list(tensors_in(found))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_results_are_single_precision_and_near(dtype):
    model = tiny_model()
    expected = outputs(model)
    lower_precision(model, dtype)
    for low, exact in zip(outputs(model), expected, strict=True):
        assert low.dtype == torch.float32
        assert not torch.equal(low, exact)
        assert (low - exact).norm() < 0.05 * exact.norm()


def test_parameters_keep_names_types_and_values():
    model, lowered = tiny_model(), tiny_model()
    lower_precision(lowered, torch.bfloat16)
    expected, found = model.state_dict(), lowered.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert lowered.backbone.size_divisibility == model.backbone.size_divisibility


def test_a_copy_computes_with_its_own_parameters():
    model = tiny_model()
    lower_precision(model, torch.bfloat16)
    expected = outputs(model)
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():
        torch.nn.init.zeros_(parameter)
    assert all(torch.equal(a, b) for a, b in zip(outputs(model), expected, strict=True))
    assert not any(value.any() for value in outputs(twin))


def test_it_can_be_compiled():
    model = tiny_model("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0)
    lower_precision(model, torch.bfloat16)
    with torch.inference_mode():
        [expected] = model.inference([picture()], do_postprocess=False)
        compile_model(model, "eager")
        [found] = model.inference([picture()], do_postprocess=False)
    torch._dynamo.reset()
    assert len(found) == len(expected) > 0
    assert torch.allclose(found.pred_boxes.tensor, expected.pred_boxes.tensor, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "features", "message"),
    [
        (torch.bfloat16, {"amx_bf16": True}, ""),
        (torch.bfloat16, {"avx512_bf16": True, "amx_bf16": False}, ""),
        (torch.bfloat16, {"amx_bf16": False}, "bf16 is slower than fp32 on this CPU, which lacks"),
        (torch.float16, {"amx_bf16": True}, "fp16 is slower than fp32 on this CPU, which lacks"),
    ],
)
def test_a_cpu_that_is_slow_in_a_precision_is_warned_of(
    dtype, features, message, monkeypatch, caplog
):
    found = {"architecture": "x86_64", **features}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    lower_precision(tiny_model(), dtype)
    assert message in caplog.text
    assert bool(caplog.text) == bool(message)
