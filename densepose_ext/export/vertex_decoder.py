"""From maps of embeddings and boxes to a vertex at every pixel, in a form that can be traced."""

from __future__ import annotations

import torch
from torch import nn

from ..structures import DensePoseEmbeddingOutput
from .decoder import channels_of, pixels_of, random_maps
from .network import Network


@torch.jit.script
def nearest_in_blocks(pixels: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """(P,) int64: for pixels (P, D), the vertex (n, D) of the largest product.

    A script, since a trace has no loops, and the matrix of all products would not fit in memory.
    """
    nearest = torch.zeros([0], dtype=torch.int64, device=pixels.device)
    for first in range(0, pixels.shape[0], 1024):
        products = torch.matmul(pixels[first : first + 1024], vertices.t())
        nearest = torch.cat([nearest, products.argmax(1)])
    return nearest


class VertexDecoder(nn.Module):
    """What :func:`densepose_ext.densepose_results` computes of a CSE model."""

    def __init__(self, vertices: dict[str, torch.Tensor]):
        """
        Args:
            vertices: mesh name -> (n, D) embeddings of length 1.
        """
        super().__init__()
        self.names = [f"vertices_{number}" for number in range(len(vertices))]
        for name, values in zip(self.names, vertices.values()):
            self.register_buffer(name, values.clone())

    def forward(
        self,
        coarse_segm: torch.Tensor,
        embedding: torch.Tensor,
        boxes: torch.Tensor,
        mesh: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Args:
            coarse_segm: (N, K, S, S).
            embedding: (N, D, S, S).
            boxes: (N, 4) XYXY, in pixels.
            mesh: (N,) int64, number of each person's mesh.

        Returns:
            labels: (P,) uint8, the coarse part of each pixel, person after person and row after
                row; 0 is background.
            vertices: (P,) int64, 0 on background.
            sizes: (N, 2) int64, rows and columns of each person; P is the sum of their products.
        """
        pixels = pixels_of(boxes, embedding.shape[-1])
        labels = pixels.blend(channels_of(coarse_segm)).argmax(1)
        embeddings = pixels.blend(channels_of(embedding))
        mesh_of_pixel = mesh.index_select(0, pixels.person)
        found = torch.zeros_like(labels)
        for number, name in enumerate(self.names):
            chosen = ((labels > 0) & (mesh_of_pixel == number)).nonzero()[:, 0]
            nearest = nearest_in_blocks(embeddings.index_select(0, chosen), getattr(self, name))
            found = found.scatter(0, chosen, nearest)
        return labels.to(torch.uint8), found, pixels.sizes


def vertex_decoder_network(
    output: DensePoseEmbeddingOutput, vertices: dict[str, torch.Tensor]
) -> Network:
    """The decoder, with maps like these as example.

    Args:
        vertices: mesh name -> (n, D), as the numbers of meshes count them.
    """
    traced, others = (_example(output, people, len(vertices)) for people in (2, 3))
    varying = {
        **{name: {0: "people"} for name in (*traced, "sizes")},
        **{name: {0: "pixels"} for name in ("labels", "vertices")},
    }
    outputs = ["labels", "vertices", "sizes"]
    return Network(VertexDecoder(vertices).eval(), traced, others, outputs, varying)


def _example(output: DensePoseEmbeddingOutput, people: int, meshes: int) -> dict[str, torch.Tensor]:
    maps = {name: getattr(output, name) for name in ("coarse_segm", "embedding")}
    mesh = torch.arange(people, device=output.embedding.device) % meshes
    return {**random_maps(maps, people), "mesh": mesh}
