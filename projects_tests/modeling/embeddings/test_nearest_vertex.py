"""The nearest vertices found by a tree are those of all products."""

import pytest
import torch
from torch.nn import functional as F

from densepose_ext.modeling.embeddings import nearest_vertex
from densepose_ext.modeling.embeddings.nearest_vertex import (
    nearest_by_all_products,
    nearest_vertices,
)
from densepose_ext.modeling.embeddings.vertex_tree import VertexTree


def smooth(count: int, seed: int) -> torch.Tensor:
    """Embeddings (n, 16) of length 1 on a surface, as a trained embedder has them."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.rand(count, 2, generator=generator)
    directions = 6 * torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    return F.normalize(torch.cat([(places @ directions).sin(), (places @ directions).cos()], 1))


def random(count: int, seed: int, dimensions: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, dimensions, generator=generator))


def assert_nearest(found, pixels, vertices):
    expected = nearest_by_all_products(pixels, vertices)
    lost = (F.normalize(pixels) * (vertices[expected] - vertices[found])).sum(1)
    assert lost.max() < 1e-6  # ties may differ
    assert (found == expected).float().mean() > 0.99


@pytest.mark.parametrize("pixels", [1, 8, 9, 700])
@pytest.mark.parametrize("vertices", [3, 128, 129, 1000])
def test_a_tree_is_exact(vertices, pixels):
    vertices = smooth(vertices, seed=1)
    noise = 0.2 * random(pixels, seed=3) * torch.linspace(0, 1, pixels)[:, None]
    pixels = 3 * (smooth(pixels, seed=2) + noise)
    assert_nearest(VertexTree(vertices).nearest(pixels), pixels, vertices)


@pytest.mark.parametrize("dimensions", [1, 2, 64])
def test_a_tree_is_exact_where_nothing_is_smooth(dimensions):
    vertices, pixels = random(600, 1, dimensions), random(300, 2, dimensions)
    found = VertexTree(vertices).nearest(pixels)
    best = (pixels @ vertices.T).amax(1)
    torch.testing.assert_close((pixels * vertices[found]).sum(1), best, rtol=0, atol=1e-6)


def test_pixels_on_the_far_side_of_all_vertices():
    vertices = F.normalize(smooth(500, 1) + 4)
    pixels = -vertices[:100] + 0.1 * random(100, 2)
    assert_nearest(VertexTree(vertices).nearest(pixels), pixels, vertices)


def test_vertices_that_coincide_and_pixels_of_length_zero():
    vertices = smooth(1, 1).expand(300, 16)
    found = VertexTree(vertices).nearest(torch.zeros(20, 16))
    assert found.shape == (20,)
    assert 0 <= found.min() <= found.max() < 300
    assert len(VertexTree(vertices).nearest(torch.zeros(0, 16))) == 0


def test_a_tree_is_asked_about_many_pixels_and_kept(monkeypatch):
    monkeypatch.setattr(nearest_vertex, "_trees", [])
    monkeypatch.setattr(nearest_vertex, "PRODUCTS_FOR_A_TREE", 1)
    monkeypatch.setattr(nearest_vertex, "PIXELS_AT_ONCE", 30)
    vertices, pixels = smooth(2500, 1), smooth(50, 2)
    for _ in range(2):
        assert_nearest(nearest_vertices(pixels, vertices.clone()), pixels, vertices)
    assert len(nearest_vertex._trees) == 1
    with torch.no_grad():
        vertices *= -1
    assert_nearest(nearest_vertices(pixels, vertices), pixels, vertices)
    assert len(nearest_vertex._trees) == 2


def test_vertices_that_are_not_of_length_one_are_compared_by_distance(monkeypatch):
    monkeypatch.setattr(nearest_vertex, "PRODUCTS_FOR_A_TREE", 1)
    vertices = smooth(2500, 1) * torch.linspace(0.1, 2, 2500)[:, None]
    pixels = smooth(50, 2)
    expected = torch.cdist(pixels, vertices).argmin(1)
    assert (nearest_vertices(pixels, vertices) == expected).float().mean() > 0.95
