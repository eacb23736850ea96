"""Embeddings of a mesh of 27,554 vertices: nearest vertices of a person, and the soft loss.

    python benchmarks/bench_embeddings.py

The person fills a box of 160 x 310 pixels or half of it. "all products" compares each pixel with
each vertex. "plain" is the soft loss with the matrices of points x vertices written out.
"""

import resource

import numpy as np
import torch
from timing import measure, report
from torch.nn import functional as F

from densepose_ext.modeling.embeddings.nearest_vertex import (
    nearest_by_all_products,
    nearest_vertices,
)
from densepose_ext.modeling.embeddings.point_losses import soft_embedding_loss
from densepose_ext.surface.meshes import register_mesh

VERTICES, DIMENSIONS = 27_554, 16
BOX = (310, 160)
ROIS, POINTS, PEOPLE = 64, 100, 16
SIGMA, GEODESIC_SIGMA = 0.1, 0.05


def embeddings(places: torch.Tensor) -> torch.Tensor:
    """Embeddings (n, D) that change with the place (n, 3) on a body as a trained model's do.

    The squared distance of two vertices is about three times that of their places in metres.
    """
    generator = torch.Generator().manual_seed(0)
    frequency = 2 ** torch.linspace(0, 5, DIMENSIONS // 2)
    direction = F.normalize(torch.randn(3, len(frequency), generator=generator), dim=0)
    phase = places @ direction * frequency
    waves = torch.cat([phase.sin(), phase.cos()], dim=1)
    return F.normalize(waves * frequency.repeat(2) ** -0.5, dim=1)


def vertices_on_a_body() -> torch.Tensor:
    """Places (n, 3) on a tube of the size of a person."""
    generator = torch.Generator().manual_seed(1)
    height, turn = torch.rand(2, VERTICES, generator=generator)
    return _tube(height, turn)


def pixels_of_a_person(size: tuple[int, int]) -> torch.Tensor:
    """Embeddings (P, D) as a network makes them: of the near side, with smooth noise."""
    generator = torch.Generator().manual_seed(2)
    height, turn = torch.meshgrid(*(torch.linspace(0, 1, 56) for _ in range(2)), indexing="ij")
    maps = embeddings(_tube(height.flatten(), turn.flatten() / 2))
    noise = F.interpolate(torch.randn(1, DIMENSIONS, 28, 28, generator=generator), (56, 56))[0]
    maps = maps.T.reshape(1, DIMENSIONS, 56, 56) + 0.06 * noise
    maps = F.interpolate(1.2 * maps, (112, 112), mode="bilinear")
    return F.interpolate(maps, size, mode="bilinear").flatten(2)[0].T.contiguous()


def _tube(height: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    angle = 2 * torch.pi * turn
    return torch.stack([0.15 * angle.cos(), 0.15 * angle.sin(), 1.7 * height], dim=1)


class BodyMesh:
    """As much of a mesh as the loss asks for, with distances through the air, in memory."""

    num_vertices = VERTICES

    def __init__(self, places: torch.Tensor, used: torch.Tensor):
        self._row_of = np.zeros(VERTICES, dtype=np.int64)
        self._row_of[used.numpy()] = np.arange(len(used))
        self._rows = torch.cdist(places[used], places).numpy()

    def geodesic_rows(self, vertices: np.ndarray) -> np.ndarray:
        return self._rows[self._row_of[vertices]]


def plain_soft_loss(points, vertices, true, mesh):
    p = torch.softmax(torch.from_numpy(mesh.geodesic_rows(true.numpy())) / -GEODESIC_SIGMA, 1)
    squares = (points**2).sum(1, keepdim=True) + (vertices**2).sum(1) - 2 * points @ vertices.T
    return F.cross_entropy(squares / -SIGMA, p)


def nearest() -> None:
    vertices = embeddings(vertices_on_a_body())
    for name, size in (("a full box", BOX), ("half of it", (BOX[0], BOX[1] // 2))):
        pixels = pixels_of_a_person(size)
        found, expected = (f(pixels, vertices) for f in (nearest_vertices, nearest_by_all_products))
        lost = (pixels * (vertices[expected] - vertices[found])).sum(1).max().item()
        assert lost < 1e-6, lost
        times = measure(
            {
                "all products": lambda p=pixels: nearest_by_all_products(p, vertices),
                "nearest_vertices": lambda p=pixels: nearest_vertices(p, vertices),
            },
            repeats=3,
        )
        report(f"{len(pixels):,} pixels, {name}: nearest of {VERTICES:,}", times, "all products")


def loss() -> None:
    """Points of the RoIs of a person are the same ones."""
    places = vertices_on_a_body()
    vertices = embeddings(places).requires_grad_()
    of_people = torch.randint(VERTICES, (PEOPLE, POINTS))
    mesh = BodyMesh(places, of_people.unique())
    register_mesh("bench", lambda: mesh)
    true = of_people[torch.randint(PEOPLE, (ROIS,))].flatten()
    noise = torch.randn(len(true), DIMENSIONS)
    points = F.normalize(vertices.detach()[true] + 0.06 * noise, dim=1).requires_grad_()

    def ours():
        points.grad = vertices.grad = None
        value = soft_embedding_loss(points, vertices, true, SIGMA, "bench", GEODESIC_SIGMA)
        value.backward()
        return value.item()

    def plain():
        points.grad = vertices.grad = None
        value = plain_soft_loss(points, vertices, true, mesh)
        value.backward()
        return value.item()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = ours()
    between = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    expected = plain()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert abs(found / expected - 1) < 1e-4, (found, expected)
    times = measure({"plain": plain, "soft_embedding_loss": ours}, repeats=2, warm_up=0)
    report(f"soft loss of {ROIS} RoIs x {POINTS} points, forward and backward", times, "plain")
    print(f"memory: {(between - before) >> 10} MB, plain {(after - before) >> 10} MB")


def main() -> None:
    torch.manual_seed(0)
    loss()
    nearest()


if __name__ == "__main__":
    main()
