"""Training in bfloat16 on the CPU."""

import pytest
import torch
from detectron2.engine import DefaultTrainer
from torch import nn

from densepose_ext import plugin
from densepose_ext.engine import trainer
from densepose_ext.engine.bfloat16_trainer import BFloat16Trainer, multiplies_bfloat16
from densepose_ext.engine.trainer import _amp_on_any_device
from densepose_ext.modeling.build import build_model
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_run import config, register, train, unregister

pytestmark = pytest.mark.slow

AMP = ("SOLVER.AMP.ENABLED", True, "MODEL.ROI_DENSEPOSE_HEAD.NAME", "DensePoseDeepLabHead")


@pytest.fixture(scope="module", autouse=True)
def dataset(tmp_path_factory):
    register(make_dataset(tmp_path_factory.mktemp("bfloat16")))
    yield
    unregister()


def losses(trainer) -> dict[str, float]:
    latest = trainer.storage.latest()
    return {name: value for name, (value, _) in latest.items() if "loss" in name}


def test_the_first_losses_are_nearly_those_of_single_precision(tmp_path):
    found = []
    for name, overrides in (("single", AMP[2:]), ("bfloat16", AMP)):
        trainer = train(config(tmp_path / name, *overrides, "SOLVER.MAX_ITER", 1))
        found.append(losses(trainer))
    single, rounded = found
    # Other proposals are drawn where scores are rounded, and with them other RoIs.
    assert rounded == pytest.approx(single, rel=0.3, abs=0.05)
    assert rounded["total_loss"] == pytest.approx(single["total_loss"], rel=0.05)
    assert rounded != single


def test_bfloat16_on_a_gpu_is_chosen_by_the_config(monkeypatch):
    made = _amp_on_any_device(lambda *_: "Detectron2's")
    monkeypatch.setattr(trainer, "BFloat16Trainer", lambda *_: "ours")
    for precision, expected in (("fp16", "Detectron2's"), ("bf16", "ours")):
        model = build_model(config("", "SOLVER.AMP.PRECISION", precision)).to("meta")
        assert made(model) == expected
        assert made(Wrapper(model)) == expected
    assert made(nn.Linear(1, 1, device="meta")) == "Detectron2's"
    with pytest.raises(
        ValueError, match=r"SOLVER.AMP.PRECISION = 'fp32', expected 'fp16' or 'bf16'"
    ):
        config("", "SOLVER.AMP.PRECISION", "fp32")


class Wrapper(nn.Module):
    """As DistributedDataParallel's."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def test_convolutions_run_in_bfloat16_but_norms_and_gradients_do_not(tmp_path):
    seen = {}

    def note(trainer):
        for module in trainer.model.modules():
            if isinstance(module, (nn.GroupNorm, nn.Conv2d)) and type(module) not in seen:
                seen[type(module)] = None
                module.register_forward_hook(
                    lambda module, _, output: seen.update({type(module): output.dtype})
                )

    trainer = train(config(tmp_path, *AMP, "SOLVER.MAX_ITER", 1), before_step=note)
    assert isinstance(trainer._trainer, BFloat16Trainer)
    assert seen.pop(nn.GroupNorm) == torch.float32
    assert torch.bfloat16 in seen.values()
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in trainer.model.parameters() if p.grad is not None} == {
        torch.float32
    }


def test_the_stock_trainer_uses_bfloat16_too_with_the_plugin(tmp_path):
    plugin.activate()
    try:
        stock = DefaultTrainer(config(tmp_path, *AMP))
    finally:
        plugin.deactivate()
    assert isinstance(stock._trainer, BFloat16Trainer)


def test_after_training_the_model_is_in_single_precision(tmp_path):
    model = train(config(tmp_path, *AMP, "SOLVER.MAX_ITER", 1)).model
    features = model.backbone(torch.zeros(1, 3, 64, 64))
    assert {map_.dtype for map_ in features.values()} == {torch.float32}


def test_losses_that_are_not_finite_name_their_images(tmp_path):
    def break_model(trainer):
        if trainer.iter == 2:  # the check of the losses is still installed after some steps
            trainer.model.roi_heads.box_predictor.bbox_pred.weight.data.fill_(float("nan"))

    with pytest.raises(FloatingPointError, match=r"iteration 2: .*images of the batch"):
        train(config(tmp_path, *AMP), before_step=break_model)


def test_matrix_units_are_those_that_the_kernel_lists():
    with open("/proc/cpuinfo") as file:
        flags = file.read().split()
    assert multiplies_bfloat16() == ("amx_bf16" in flags)
