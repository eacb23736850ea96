"""Losses of annotated points: the embedding of a pixel against those of a mesh's vertices.

Letters: P points, n vertices, D dimensions. Distances between embeddings are squared Euclidean.
"""

from __future__ import annotations

import numpy as np
import torch

from ...surface.meshes import get_mesh

#: Limit of entries (4 bytes each) of P x n matrices in memory; on a CPU, they fit into its cache.
ENTRIES_AT_ONCE = {"cpu": 3 << 20}
_ENTRIES_ELSEWHERE = 16 << 20


def embedding_loss(
    points: torch.Tensor, vertices: torch.Tensor, true: torch.Tensor, sigma: float
) -> torch.Tensor:
    """Cross-entropy over vertices, with logits -distance / sigma, averaged over points.

    Args:
        points: (P, D). vertices: (n, D). true: (P,) int64, vertex of each point.
    """
    expected = ((points - vertices[true]) ** 2).sum(1)
    return (expected / sigma).mean() + _log_partition(points, vertices, sigma) / len(points)


def soft_embedding_loss(
    points: torch.Tensor,
    vertices: torch.Tensor,
    true: torch.Tensor,
    sigma: float,
    mesh_name: str,
    geodesic_sigma: float,
) -> torch.Tensor:
    """Cross-entropy against softmax(-geodesic distance to the true vertex / geodesic_sigma).

    -sum p log q = log sum exp(-distance / sigma) + sum p distance / sigma, so no (P, n) matrix of p
    log q is needed, and p is computed only once for points that share a vertex.

    Args:
        points: (P, D). vertices: (n, D). true: (P,) int64, vertex of each point.
        mesh_name: the mesh whose geodesics to use.

    Raises:
        ValueError: the mesh has another number of vertices.
    """
    mesh = get_mesh(mesh_name)
    if mesh.num_vertices != len(vertices):
        raise ValueError(
            f"the mesh {mesh_name} has {mesh.num_vertices} vertices, its embedder {len(vertices)}"
        )
    expected = _SumUnderGeodesics.apply(points, vertices, true, mesh, geodesic_sigma)
    total = expected / sigma + _log_partition(points, vertices, sigma)
    return total / len(points)


def _points_at_once(vertices: torch.Tensor) -> int:
    entries = ENTRIES_AT_ONCE.get(vertices.device.type, _ENTRIES_ELSEWHERE)
    return max(entries // len(vertices), 1)


def _with_ones(rows: torch.Tensor) -> torch.Tensor:
    return torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)


def _log_partition(points: torch.Tensor, vertices: torch.Tensor, sigma: float) -> torch.Tensor:
    """Sum over points of log sum over vertices of exp(-distance / sigma)."""
    return _LogPartition.apply(points, vertices, sigma)


class _LogPartition(torch.autograd.Function):
    """Computes value and gradients together, in blocks of points, so q is computed only once.

    Points and vertices get a column of ones, so that matrix products also add the squared norms of
    vertices and compute the sums over vertices and points, without reading a block again.
    """

    @staticmethod
    def forward(ctx, points, vertices, sigma):
        needs_points, needs_vertices, _ = ctx.needs_input_grad
        total = points.new_zeros(())
        squares = (vertices**2).sum(1, keepdim=True)
        extended = _with_ones(vertices)
        # Logits without |point|^2 / sigma, which is constant per row.
        weights = torch.cat([vertices * 2, -squares], dim=1).div_(sigma).T.contiguous()
        pulled = torch.zeros_like(weights)
        of_points = []
        for chunk in _with_ones(points).split(_points_at_once(vertices)):
            q = chunk @ weights
            highest = q.amax(1, keepdim=True)
            mean, sums = (q.sub_(highest).exp_() @ extended).tensor_split([-1], dim=1)
            own = chunk[:, :-1]
            total = total + (sums.log() + highest).sum() - (own**2).sum() / sigma
            if needs_points:
                of_points.append((mean / sums - own) * (2 / sigma))
            if needs_vertices:
                pulled.addmm_((chunk / sums).T, q)
        ctx.of_points = torch.cat(of_points) if needs_points else None
        ctx.of_vertices = None
        if needs_vertices:
            ctx.of_vertices = (pulled[:-1].T - pulled[-1, :, None] * vertices) * (2 / sigma)
        return total

    @staticmethod
    def backward(ctx, gradient):
        return *_scaled(ctx, gradient), None


class _SumUnderGeodesics(torch.autograd.Function):
    """Sum over points of the mean distance under softmax(-geodesic distance / sigma).

    Computed in blocks of distinct true vertices, together with the gradients: no block is stored.
    """

    @staticmethod
    def forward(ctx, points, vertices, true, mesh, sigma):
        needs_points, needs_vertices, *_ = ctx.needs_input_grad
        distinct, place = true.unique(return_inverse=True)
        sums = points.new_zeros(len(distinct), points.shape[1] + 1)
        sums.index_add_(0, place, _with_ones(points))  # of points, and their number
        weight = points.new_zeros(sums.shape[1], len(vertices))
        means = []
        step = _points_at_once(vertices)
        for chunk, own in zip(distinct.split(step), sums.split(step)):
            rows = torch.from_numpy(np.ascontiguousarray(mesh.geodesic_rows(chunk.cpu().numpy())))
            p = torch.softmax(rows.to(vertices.device).div_(-sigma), dim=1)
            weight.addmm_(own.T, p)
            if needs_points:
                means.append(p @ vertices)
        pulled, mass = weight[:-1].T, weight[-1, :, None]
        ctx.of_points = 2 * (points - torch.cat(means)[place]) if needs_points else None
        ctx.of_vertices = 2 * (mass * vertices - pulled) if needs_vertices else None
        return (points**2).sum() + (vertices * (mass * vertices - 2 * pulled)).sum()

    @staticmethod
    def backward(ctx, gradient):
        return *_scaled(ctx, gradient), None, None, None


def _scaled(ctx, gradient: torch.Tensor):
    return (None if own is None else gradient * own for own in (ctx.of_points, ctx.of_vertices))
