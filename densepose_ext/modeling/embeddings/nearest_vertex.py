"""Finds the vertices whose embeddings are nearest to those of pixels.

Letters: P pixels, n vertices, D dimensions.
"""

from __future__ import annotations

import torch

from .vertex_tree import VertexTree

#: Limit of entries of a P x n matrix in memory: 32 MB in single precision.
ENTRIES_AT_ONCE = 8 << 20
#: With fewer products or vertices than this, computing all products is faster than using a tree.
PRODUCTS_FOR_A_TREE, VERTICES_FOR_A_TREE = 20_000_000, 2048
#: Number of pixels that are sorted together.
PIXELS_AT_ONCE = 1 << 16
#: Number of meshes whose trees are cached.
TREES_KEPT = 4

_trees: list[tuple[torch.Tensor, VertexTree]] = []


@torch.no_grad()
def nearest_vertices(pixels: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """(P,) int64: the nearest vertex by Euclidean distance.

    On the CPU, many pixels are looked up in a :class:`VertexTree`, which is exact, but may return
    any of tied vertices. Otherwise all vertices are compared, and the first of ties is returned.

    Args:
        pixels: (P, D). vertices: (n, D).
    """
    if (
        pixels.device.type == "cpu"
        and len(vertices) >= VERTICES_FOR_A_TREE
        and len(pixels) * len(vertices) >= PRODUCTS_FOR_A_TREE
        and (vertices.norm(dim=1) - 1).abs().max() < 1e-4
    ):
        tree = _tree(vertices)
        return torch.cat([tree.nearest(part.float()) for part in pixels.split(PIXELS_AT_ONCE)])
    return nearest_by_all_products(pixels, vertices)


def nearest_by_all_products(pixels: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """As :func:`nearest_vertices`, for vertices of any length; returns the first of ties.

    |x - e|^2 is smallest where x . e - |e|^2 / 2 is largest: one matrix product, in blocks.
    """
    nearest = torch.empty(len(pixels), dtype=torch.int64, device=pixels.device)
    offset = (vertices**2).sum(1) / -2
    transposed = vertices.T.contiguous()
    step = max(ENTRIES_AT_ONCE // max(len(vertices), 1), 1)
    for first in range(0, len(pixels), step):
        block = torch.addmm(offset, pixels[first : first + step], transposed)
        torch.argmax(block, dim=1, out=nearest[first : first + step])
    return nearest


def _tree(vertices: torch.Tensor) -> VertexTree:
    """The cached tree of these embeddings, which do not change once a model is trained."""
    for known, tree in list(_trees):
        if torch.equal(known, vertices):
            return tree
    tree = VertexTree(vertices.float())
    _trees.append((vertices.detach().clone(), tree))
    del _trees[:-TREES_KEPT]
    return tree
