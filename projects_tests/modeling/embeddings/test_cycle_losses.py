"""Cycle-consistency losses on cases that can be worked out by hand."""

import pytest
import torch

from densepose_ext.modeling.embeddings import cycle_losses
from densepose_ext.modeling.embeddings.cycle_losses import (
    PixelToShapeCycleLoss,
    ShapeToShapeCycleLoss,
)
from densepose_ext.modeling.embeddings.embedder import Embedder, VertexDirectEmbedder

COUNT = 6


class Line:
    """A mesh whose vertices lie on a line, a metre apart."""

    def geodesic_rows(self, vertices):
        places = torch.arange(COUNT, dtype=torch.float32).numpy()
        return abs(places[vertices, None] - places)


@pytest.fixture(autouse=True)
def _lines(monkeypatch):
    monkeypatch.setattr(cycle_losses, "get_mesh", lambda name: Line())


def embedder(**embeddings) -> Embedder:
    modules = {}
    for name, value in embeddings.items():
        modules[name] = VertexDirectEmbedder(*value.shape)
        modules[name].embeddings.data.copy_(value)
    return Embedder(modules)


def test_a_cycle_between_equal_shapes_ends_where_it_starts():
    equal = embedder(a=torch.eye(COUNT), b=torch.eye(COUNT).flip(0))
    assert ShapeToShapeCycleLoss(["a", "b"], temperature=1e-2)(equal) < 1e-3


def test_a_cycle_that_ends_anywhere_costs_the_mean_distance():
    """If all embeddings are equal, all ends are equally probable."""
    same = torch.ones(COUNT, 2)
    found = ShapeToShapeCycleLoss(["a", "b"])(embedder(a=same, b=same))
    geodesics = torch.from_numpy(Line().geodesic_rows(torch.arange(COUNT).numpy()))
    torch.testing.assert_close(found, 2 * (geodesics / COUNT).norm())


def test_every_pair_of_shapes_takes_its_turn_and_the_seed_alone_decides_which():
    shapes = embedder(**{name: torch.randn(COUNT, 3) for name in "abc"})
    loss = ShapeToShapeCycleLoss(list("abc"))

    def run(first):
        losses = []
        for step in range(first, 20):
            torch.manual_seed(step)  # as before each iteration of a run
            losses.append(loss(shapes).item())
        return losses

    whole = run(0)
    assert len(set(whole)) == 3
    assert run(7) == whole[7:]  # resumed


def test_large_meshes_are_sampled():
    torch.manual_seed(0)
    shapes = embedder(a=torch.randn(COUNT, 3), b=torch.randn(COUNT, 3))
    loss = ShapeToShapeCycleLoss(["a", "b"], max_num_vertices=4)
    assert len({loss(shapes).item() for _ in range(10)}) > 1


def test_one_shape_has_no_cycle_but_gradients():
    alone = embedder(a=torch.randn(COUNT, 3))
    value = ShapeToShapeCycleLoss(["a"])(alone)
    value.backward()
    assert value == 0
    assert not next(alone.parameters()).grad.any()


def masks(*pixels):
    mask = torch.zeros(len(pixels), 4, 4, dtype=torch.bool)
    for person, own in enumerate(pixels):
        for row, column in own:
            mask[person, row, column] = True
    return mask


def test_pixels_of_different_vertices_come_back():
    maps = torch.zeros(1, 2, 4, 4)
    maps[0, 0, 0, 0] = maps[0, 1, 3, 1] = 5  # of any length
    loss = PixelToShapeCycleLoss(temperature_to_vertex=1e-2, temperature_to_pixel=1e-2)
    assert loss(maps, masks([(0, 0), (3, 1)]), [torch.eye(2)]) < 1e-3


def test_pixels_that_look_alike_cost_their_squared_distance():
    maps = torch.ones(1, 2, 4, 4)
    found = PixelToShapeCycleLoss()(maps, masks([(0, 0), (3, 1)]), [torch.eye(2)])
    # Two ways out of four end at the other pixel, with probability 1/2 each.
    torch.testing.assert_close(found, torch.tensor(2 * (10 * 0.5) ** 2).sqrt())


def test_the_mean_is_over_people_and_meshes():
    maps = torch.randn(2, 2, 4, 4)
    both = masks([(0, 0), (3, 1), (2, 2)], [(1, 1), (0, 3)])
    vertices = [torch.eye(2), torch.eye(2)[:1]]
    loss = PixelToShapeCycleLoss()
    single = [
        loss(maps[n : n + 1], both[n : n + 1], [of_mesh]) for n in range(2) for of_mesh in vertices
    ]
    torch.testing.assert_close(loss(maps, both, vertices), torch.stack(single).mean())


@pytest.mark.parametrize("people", [0, 1])
def test_without_pixels_the_loss_is_zero_and_has_gradients(people):
    maps = torch.randn(people, 2, 4, 4, requires_grad=True)
    value = PixelToShapeCycleLoss()(maps, masks(*[[]] * people), [torch.eye(2)])
    value.backward()
    assert value == 0
    assert maps.grad is not None
    assert not maps.grad.any()


def test_only_so_many_pixels_are_drawn():
    maps = torch.ones(1, 2, 4, 4)
    everywhere = torch.ones(1, 4, 4, dtype=torch.bool)
    assert PixelToShapeCycleLoss(num_pixels=1)(maps, everywhere, [torch.eye(2)]) == 0
    assert PixelToShapeCycleLoss(num_pixels=0)(maps, everywhere, [torch.eye(2)]) > 0
