"""Runs are tested and saved with an average of their weights, and train as without it."""

import logging
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from densepose_ext.engine.averaged_weights import AveragedWeights
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_run import (
    assert_same_weights,
    config,
    register,
    train,
    unregister,
    weights,
)

EMA = ("SOLVER.EMA_DECAY", 0.6)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    logging.getLogger("detectron2").setLevel(logging.INFO)
    register(make_dataset(tmp_path_factory.mktemp("averaged"), images=5))
    yield
    unregister()
    logging.getLogger("detectron2").setLevel(logging.NOTSET)


def norm_and_frozen() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[2].weight.requires_grad = False
    return model


def step(model: nn.Module, number: int) -> None:
    """Changes all that training changes."""
    model(torch.rand(5, 3, generator=torch.Generator().manual_seed(number)))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(number + 1)


def copied(model: nn.Module) -> dict:
    return {name: x.clone() for name, x in model.state_dict().items()}


@settings(max_examples=20, deadline=None)
@given(decay=st.floats(0.05, 0.999), count=st.integers(1, 6))
def test_between_iterations_the_model_has_the_average(decay, count):
    model, plain = norm_and_frozen(), norm_and_frozen()
    expected = copied(plain)
    hook = AveragedWeights(model, decay)
    hook.before_train()
    for number in range(count):
        hook.before_step()
        step(model, number)
        hook.after_step()
        step(plain, number)
        kept = min(decay, (1 + number) / (10 + number))
        for name, x in plain.state_dict().items():
            if x.is_floating_point():
                expected[name] = kept * expected[name] + (1 - kept) * x
            else:
                expected[name] = x.clone()
        for name, x in model.state_dict().items():
            assert torch.allclose(x, expected[name], atol=1e-5), name
        # The trained weights wait unchanged.
        for name, x in hook.state_dict()["trained"].items():
            assert torch.equal(x, plain.state_dict()[name]), name
    assert "2.weight" not in hook.state_dict()["trained"]


def test_parameters_stay_the_same_objects():
    model = norm_and_frozen()
    before = list(model.parameters())
    hook = AveragedWeights(model, 0.9)
    hook.before_train()
    hook.before_step()
    hook.after_step()
    hook.after_train()
    assert [id(p) for p in model.parameters()] == [id(p) for p in before]


def test_a_run_that_fails_before_its_first_iteration_ends_quietly():
    hook = AveragedWeights(norm_and_frozen(), 0.9)
    hook.after_train()
    assert hook.state_dict()["trained"] == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda trained: trained.pop("0.bias"), r"have nothing for 0.bias, expected \(4,\)"),
        (lambda trained: trained.update({"0.bias": torch.ones(3)}), r"have \(3,\) for 0.bias"),
    ],
)
def test_trained_weights_of_another_model_are_refused(change, message):
    hook = AveragedWeights(norm_and_frozen(), 0.9)
    hook.before_train()
    state = hook.state_dict()
    change(state["trained"])
    with pytest.raises(ValueError, match=message):
        AveragedWeights(norm_and_frozen(), 0.9).load_state_dict(state)


def test_a_model_in_several_processes_is_averaged_under_its_own_names():
    model = norm_and_frozen()
    hook = AveragedWeights(SimpleNamespace(module=model), 0.9)
    hook.before_train()
    assert "0.weight" in hook.state_dict()["trained"]


@pytest.mark.slow
def test_training_is_that_without_an_average_and_checkpoints_have_both(dataset, tmp_path):
    plain = weights(train(config(tmp_path / "plain")).cfg.OUTPUT_DIR + "/model_final.pth")
    tested = {}
    cfg = config(tmp_path / "averaged", *EMA)
    trainer = train(cfg, after_step=lambda t: tested.update(copied(t._trainer.model)))
    final = torch.load(tmp_path / "averaged" / "model_final.pth", weights_only=True)
    trained = final["trainer"]["hooks"]["AveragedWeights"]["trained"]
    assert trained
    assert_same_weights({**plain, **trained}, plain)
    # What is saved is what is tested, and what the model has in the end.
    assert_same_weights(final["model"], tested)
    assert_same_weights(final["model"], trainer.model.state_dict())
    assert not torch.equal(
        final["model"]["roi_heads.box_head.fc1.weight"], plain["roi_heads.box_head.fc1.weight"]
    )


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_average(dataset, tmp_path):
    class Killed(Exception):
        pass

    def kill(trainer):
        if trainer.iter == 3:
            raise Killed

    whole = train(config(tmp_path / "whole", *EMA)).model.state_dict()
    with pytest.raises(Killed):
        train(config(tmp_path / "killed", *EMA), before_step=kill)
    resumed = train(config(tmp_path / "killed", *EMA), resume=True)
    assert resumed.start_iter == 2
    assert_same_weights(resumed.model.state_dict(), whole)


@pytest.mark.slow
def test_an_average_may_begin_or_end_where_a_run_is_resumed(dataset, tmp_path, caplog):
    train(config(tmp_path, "SOLVER.MAX_ITER", 2))
    averaged = train(config(tmp_path, *EMA, "SOLVER.MAX_ITER", 4), resume=True)
    assert averaged.start_iter == 2
    plain = train(config(tmp_path, "SOLVER.MAX_ITER", 6), resume=True)
    assert plain.start_iter == 4
    assert "Cannot find the hook 'AveragedWeights'" in caplog.text
