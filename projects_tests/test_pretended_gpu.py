"""The pretended GPU computes what the CPU does, and refuses what a real one refuses."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from projects_tests.pretended_gpu import GPU, OnGPU, pretended_gpu


@pytest.fixture
def _gpu():
    with pretended_gpu():
        yield


pytestmark = pytest.mark.usefixtures("_gpu")


def test_training_gives_the_weights_of_the_cpu():
    def trained(device):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
        model.to(device)
        optimizer = torch.optim.AdamW(model.parameters(), 0.1)
        for _ in range(2):
            images, labels = torch.rand(5, 3, 4, 4).to(device), torch.tensor([0, 1, 0, 1, 1])
            loss = nn.functional.cross_entropy(model(images), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert all(
            p.device.type == device and p.grad.device.type == device for p in model.parameters()
        )
        return [p.detach().cpu() for p in model.state_dict().values()]

    for on_gpu, expected in zip(trained("cuda"), trained("cpu"), strict=True):
        assert not isinstance(on_gpu, OnGPU)
        assert torch.allclose(on_gpu, expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.zeros(3, device="cuda"),
        lambda x: torch.tensor([1.0, 2], device="cuda:0"),
        lambda x: torch.arange(3, device=x.device),
        lambda x: x.new_zeros(3),
        lambda x: torch.rand_like(x),
        lambda x: torch.nonzero(x),
        lambda x: torch.ones(2).to(x),
        lambda x: torch.ones(2).cuda(),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: x * torch.tensor(2.0),
    ],
)
def test_tensors_are_made_on_the_gpu(make):
    assert make(torch.rand(3).to("cuda")).device == GPU


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda x: x + torch.rand(3), RuntimeError),
        (lambda x: torch.cat([x, torch.rand(3)]), RuntimeError),
        (lambda x: torch.rand(3)[x.long()], RuntimeError),
        (lambda x: torch.where(x > 0, x, torch.zeros(3)), RuntimeError),
        (lambda x: x.numpy(), TypeError),
        (lambda x: np.asarray(x), TypeError),
        (lambda x: x.pin_memory(), RuntimeError),
    ],
)
def test_what_a_gpu_refuses_is_refused(use, error):
    with pytest.raises(error, match="GPU"):
        use(torch.rand(3).to("cuda"))


def test_data_are_exchanged():
    one, other = (nn.Parameter(torch.full((2,), x).to("cuda")) for x in (1.0, 2.0))
    one.data, other.data = other.data, one.data
    assert (one.tolist(), other.tolist()) == ([2, 2], [1, 1])
    assert (one * 2).tolist() == [4, 4]


def test_gradients_pass_between_the_devices():
    weight = torch.ones(2, requires_grad=True)
    (weight.to("cuda") * 3).cpu().sum().backward()
    assert weight.grad.tolist() == [3, 3]


def test_numbers_and_checkpoints_are_those_of_plain_tensors():
    tensor = torch.tensor([1.0, 2], device="cuda")
    assert (tensor.tolist(), float(tensor.sum()), len(tensor)) == ([1, 2], 3, 2)
    file = io.BytesIO()
    torch.save({"x": tensor}, file)
    file.seek(0)
    assert type(torch.load(file, weights_only=True)["x"]) is torch.Tensor


def test_nothing_is_left_of_it():
    before = torch.inference_mode.__enter__
    with pretended_gpu():
        pass
    assert torch.inference_mode.__enter__ is before
    assert type(torch.zeros(1)) is torch.Tensor
