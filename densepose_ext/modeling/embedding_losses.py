"""Losses of annotated points: the embedding of a pixel against those of a mesh's vertices.

Letters: P points, n vertices, D dimensions. Distances of embeddings are squared Euclidean ones.
"""

from __future__ import annotations

import numpy as np
import torch

from ..surface.meshes import get_mesh

#: Entries of P x n matrices that are held at once (each of 4 bytes).
ENTRIES_AT_ONCE = 16 << 20


def embedding_loss(
    points: torch.Tensor, vertices: torch.Tensor, true: torch.Tensor, sigma: float
) -> torch.Tensor:
    """Cross-entropy over vertices of -distance / sigma: the mean over points.

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

    -sum p log q = log sum exp(-distance / sigma) + sum p distance / sigma, and the mean distance
    under p follows from the mean embedding: no (P, n) matrix of p log q is ever made.

    Args:
        points: (P, D). vertices: (n, D). true: (P,) int64, vertex of each point.
        mesh_name: whose geodesics to take.

    Raises:
        ValueError: the mesh has another number of vertices.
    """
    mesh = get_mesh(mesh_name)
    if mesh.num_vertices != len(vertices):
        raise ValueError(
            f"the mesh {mesh_name} has {mesh.num_vertices} vertices, its embedder {len(vertices)}"
        )
    distinct, place = true.unique(return_inverse=True)
    mean, mean_square = [], []
    squares = (vertices**2).sum(1)
    for chunk in distinct.split(max(ENTRIES_AT_ONCE // len(vertices), 1)):
        rows = torch.from_numpy(np.ascontiguousarray(mesh.geodesic_rows(chunk.cpu().numpy())))
        weights = torch.softmax(rows.to(vertices.device).div_(-geodesic_sigma), dim=1)
        mean.append(weights @ vertices)
        mean_square.append(weights @ squares)
    mean, mean_square = torch.cat(mean)[place], torch.cat(mean_square)[place]
    expected = (points**2).sum(1) + mean_square - 2 * (points * mean).sum(1)
    return (expected / sigma).mean() + _log_partition(points, vertices, sigma) / len(points)


def _log_partition(points: torch.Tensor, vertices: torch.Tensor, sigma: float) -> torch.Tensor:
    """Sum over points of log sum over vertices of exp(-distance / sigma)."""
    return _LogPartition.apply(points, vertices, sigma)


class _LogPartition(torch.autograd.Function):
    """In blocks of points, with the gradients made on the way: q is there only once."""

    @staticmethod
    def forward(ctx, points, vertices, sigma):
        needs_points, needs_vertices, _ = ctx.needs_input_grad
        total = points.new_zeros(())
        squares = (vertices**2).sum(1)
        bias = -squares / sigma
        scaled = (vertices * (2 / sigma)).T.contiguous()
        of_points, mass = [], torch.zeros_like(squares)
        pulled = torch.zeros_like(vertices)
        for chunk in points.split(max(ENTRIES_AT_ONCE // len(vertices), 1)):
            logits = torch.addmm(bias, chunk, scaled)  # less |chunk|^2 / sigma, the same in a row
            highest = logits.amax(1, keepdim=True)
            q = logits.sub_(highest).exp_()
            sums = q.sum(1, keepdim=True)
            own = (sums.log() + highest)[:, 0] - (chunk**2).sum(1) / sigma
            total = total + own.sum()
            if needs_points:
                of_points.append((q @ vertices / sums - chunk) * (2 / sigma))
            if needs_vertices:
                q /= sums
                mass += q.sum(0)
                pulled += q.T @ chunk
        ctx.of_points = torch.cat(of_points) if needs_points else None
        ctx.of_vertices = (
            (pulled - mass[:, None] * vertices) * (2 / sigma) if needs_vertices else None
        )
        return total

    @staticmethod
    def backward(ctx, gradient):
        return (
            *(None if own is None else gradient * own for own in (ctx.of_points, ctx.of_vertices)),
            None,
        )
