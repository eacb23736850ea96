"""The losses of embeddings, computed in blocks, equal those of full matrices."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from densepose_ext.modeling.embeddings import point_losses
from densepose_ext.modeling.embeddings.point_losses import embedding_loss, soft_embedding_loss

NUM_VERTICES, SIGMA, GEODESIC_SIGMA = 40, 0.05, 0.3
GEODESICS = np.random.default_rng(0).uniform(0, 2, (NUM_VERTICES,) * 2).astype(np.float32)


class RandomMesh:
    num_vertices = NUM_VERTICES

    def geodesic_rows(self, vertices):
        return GEODESICS[vertices]


def inputs():
    torch.manual_seed(0)
    points, vertices = (F.normalize(torch.randn(n, 5)) for n in (23, NUM_VERTICES))
    true = torch.randint(NUM_VERTICES, (6,))[torch.randint(6, (23,))]
    return points.requires_grad_(), vertices.requires_grad_(), true


def logits(points, vertices):
    return ((points[:, None] - vertices) ** 2).sum(2) / -SIGMA


def hard(points, vertices, true):
    return embedding_loss(points, vertices, true, SIGMA)


def soft(points, vertices, true):
    return soft_embedding_loss(points, vertices, true, SIGMA, "random", GEODESIC_SIGMA)


def plain_hard(points, vertices, true):
    return F.cross_entropy(logits(points, vertices), true)


def plain_soft(points, vertices, true):
    p = torch.softmax(torch.from_numpy(GEODESICS[true.numpy()]) / -GEODESIC_SIGMA, dim=1)
    return F.cross_entropy(logits(points, vertices), p)


@pytest.mark.parametrize(("loss", "plain"), [(hard, plain_hard), (soft, plain_soft)])
@pytest.mark.parametrize("entries", [1, 5 * NUM_VERTICES, 1 << 20])
def test_values_and_gradients_equal_those_of_full_matrices(loss, plain, entries, monkeypatch):
    monkeypatch.setattr(point_losses, "get_mesh", lambda name: RandomMesh())
    monkeypatch.setattr(point_losses, "ENTRIES_AT_ONCE", {"cpu": entries})
    found = []
    for function in (loss, plain):
        points, vertices, true = inputs()
        value = function(points, vertices, true)
        (3 * value).backward()
        found.append((value.detach(), points.grad, vertices.grad))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [hard, soft])
def test_what_needs_no_gradient_gets_none(loss, monkeypatch):
    monkeypatch.setattr(point_losses, "get_mesh", lambda name: RandomMesh())
    points, vertices, true = inputs()
    loss(points, vertices.detach(), true).backward()
    assert points.grad is not None
    assert vertices.grad is None


def test_a_mesh_of_another_size_is_refused(monkeypatch):
    monkeypatch.setattr(point_losses, "get_mesh", lambda name: RandomMesh())
    points, vertices, true = inputs()
    with pytest.raises(ValueError, match="random has 40 vertices, its embedder 39"):
        soft(points, vertices[:-1], true.clamp(max=38))
