"""Postprocessing of CSE models: from maps to a vertex at every pixel of a person's box."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ...structures import DensePoseEmbeddingOutput, VertexResult
from .nearest_vertex import nearest_vertices


@torch.no_grad()
def vertex_results(
    output: DensePoseEmbeddingOutput,
    sizes: list[tuple[int, int]],
    with_embeddings: bool = False,
) -> list[VertexResult]:
    """The vertices of N people at the resolution of the picture.

    Coarse logits and embeddings are interpolated bilinearly (pixel centres at +0.5) to the box. A
    pixel belongs to the person if the best coarse channel is not background, and gets the vertex
    with the nearest embedding.

    Args:
        output: maps of N people, with their meshes.
        sizes: (h, w) of each person's box.
        with_embeddings: whether to keep the embeddings of pixels.

    Raises:
        ValueError: the output has no meshes.
    """
    if output.meshes is None:
        raise ValueError("the output has embeddings, but no meshes to compare them with")
    return [
        _result(output[n], size, mesh, output.meshes.vertices[mesh], with_embeddings)
        for n, (size, mesh) in enumerate(zip(sizes, output.meshes.names()))
    ]


def _result(person, size, mesh: str, vertices: torch.Tensor, with_embeddings: bool) -> VertexResult:
    labels = coarse_labels(person, size)
    embedding = _enlarged(person.embedding, size)[0]
    found = torch.zeros(size, dtype=torch.int32, device=labels.device)
    on_body = labels > 0
    found[on_body] = nearest_vertices(embedding[:, on_body].T, vertices).to(torch.int32)
    return VertexResult(labels, found, mesh, embedding=embedding if with_embeddings else None)


def coarse_labels(person: DensePoseEmbeddingOutput, size: tuple[int, int]) -> torch.Tensor:
    """(h, w) uint8: the best coarse part of each pixel of one person, 0 for background."""
    return _enlarged(person.coarse_segm, size)[0].argmax(0).to(torch.uint8)


def _enlarged(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(maps.float(), size, mode="bilinear", align_corners=False)
