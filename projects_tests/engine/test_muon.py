"""Muon: orthogonal steps, and AdamW for what they do not suit."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from densepose_ext.engine.muon import MuonAdamW, orthogonalized


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(2, 40), columns=st.integers(2, 40), seed=st.integers(0, 99))
def test_singular_values_come_near_to_one_and_directions_stay(rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(3, rows, columns, generator=generator)
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.mT @ orthogonalized(matrix) @ v.mT  # diagonal, if the singular vectors are kept
    diagonal = found.diagonal(dim1=1, dim2=2)
    off = found - torch.diag_embed(diagonal)
    assert off.abs().max() < 2e-2
    assert diagonal.max() < 1.25
    large = values > 0.05 * values.max(dim=1, keepdim=True).values
    assert diagonal[large].min() > 0.5


def test_scale_of_a_gradient_does_not_matter():
    matrix = torch.randn(1, 8, 20)
    torch.testing.assert_close(
        orthogonalized(matrix), orthogonalized(1e-4 * matrix), rtol=1e-2, atol=1e-2
    )
    assert torch.equal(orthogonalized(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Conv2d(6, 4, 1))


def optimizer_of(model, lr=0.01, **kwargs):
    weights = [m.weight for m in model]
    biases = [m.bias for m in model]
    return MuonAdamW([{"params": weights, "orthogonal": True}, {"params": biases}], lr=lr, **kwargs)


def train(model, optimizer, steps, first=0):
    for step in range(first, first + steps):
        images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()


def test_steps_are_as_long_as_adamws_and_other_groups_are_adamws():
    model, twin = convolutions(), convolutions()
    optimizer = optimizer_of(model, weight_decay=0.0)
    adamw = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.0)
    before = [m.weight.detach().clone() for m in model]
    train(model, optimizer, 1)
    train(twin, adamw, 1)
    for layer, other, old in zip(model, twin, before):
        moved = (layer.weight - old).square().mean().sqrt() / 0.01
        assert 0.1 < moved < 0.3
        torch.testing.assert_close(layer.bias, other.bias)


def test_a_run_that_is_resumed_ends_with_the_same_weights():
    whole = convolutions()
    train(whole, optimizer_of(whole), 6)
    model = convolutions()
    optimizer = optimizer_of(model)
    train(model, optimizer, 3)
    state = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    again = convolutions()
    resumed = optimizer_of(again)
    again.load_state_dict(state[0])
    resumed.load_state_dict(state[1])
    train(again, resumed, 3, first=3)
    for one, other in zip(whole.parameters(), again.parameters()):
        assert torch.equal(one, other)


def test_weights_without_a_gradient_stay():
    model = convolutions()
    optimizer = optimizer_of(model)
    model[0](torch.randn(1, 3, 8, 8)).sum().backward()
    before = model[1].weight.detach().clone()
    optimizer.step()
    assert torch.equal(model[1].weight, before)


def test_training_lowers_the_loss_tenfold():
    model = convolutions()
    optimizer = optimizer_of(model, weight_decay=0.0)
    images = torch.randn(4, 3, 8, 8)
    first = model(images).square().mean().item()
    train(model, optimizer, 60)
    assert model(images).square().mean().item() < 0.1 * first


def test_vectors_are_refused():
    with pytest.raises(ValueError, match="two dimensions or more"):
        MuonAdamW([{"params": [nn.Parameter(torch.zeros(3))], "orthogonal": True}], lr=0.1)
