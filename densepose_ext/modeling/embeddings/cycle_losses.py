"""Cycle-consistency losses: from one shape to another, or from pixels to a shape, and back.

Neverova et al., Discovering Relationships between Object Categories via Universal Canonical Maps,
CVPR 2021, section 3.2. Letters: n, m vertices, X pixels, D dimensions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from ...surface.meshes import get_mesh
from .embedder import Embedder, normalized

#: Number of rows of geodesics to read at once.
_ROWS = 512


def cycle_norm(
    there: torch.Tensor,
    back: torch.Tensor,
    distances: torch.Tensor,
    norm_p: float,
) -> torch.Tensor:
    """How far from its start a cycle ends: the norm of distances * (there @ back), elementwise.

    Args:
        there, back: (X, n) and (n, X), probabilities, whose rows sum to 1.
        distances: (X, X), between starts: geodesics in metres, or squared distances in cells.
        norm_p: exponent of the norm.
    """
    return (distances * (there @ back)).norm(p=norm_p)


class ShapeToShapeCycleLoss:
    """From the vertices of one mesh to those of another and back; a random pair on each call."""

    def __init__(
        self,
        mesh_names: Sequence[str],
        *,
        norm_p: float = 2,
        temperature: float = 0.05,
        max_num_vertices: int = 4936,
    ):
        """
        Args:
            norm_p: exponent of the norm in :func:`cycle_norm`.
            temperature: divides the inner products of embeddings before the softmax.
            max_num_vertices: limit per mesh; if there are more, they are sampled at random.
        """
        self.pairs = list(itertools.combinations(mesh_names, 2))
        self.norm_p = norm_p
        self.temperature = temperature
        self.max_num_vertices = max_num_vertices

    def __call__(self, embedder: Embedder) -> torch.Tensor:
        """
        Args:
            embedder: of all the meshes.
        """
        if not self.pairs:
            return sum(embedder(name).sum() for name in embedder.mesh_names) * 0.0
        # Drawn without a memory of earlier pairs, which a resumed run would lack.
        pair = self.pairs[int(torch.randint(len(self.pairs), ()))]
        first, second = (self._sampled(name, embedder) for name in pair)
        (embeddings_1, geodesics_1), (embeddings_2, geodesics_2) = first, second
        products = embeddings_1 @ embeddings_2.T / self.temperature
        there, back = products.softmax(1), products.T.softmax(1)
        return cycle_norm(there, back, geodesics_1, self.norm_p) + cycle_norm(
            back, there, geodesics_2, self.norm_p
        )

    def _sampled(self, name: str, embedder: Embedder) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (n, D) and geodesics (n, n) of vertices of a mesh."""
        embeddings, mesh = embedder(name), get_mesh(name)
        chosen = torch.arange(len(embeddings))
        if len(embeddings) > self.max_num_vertices:
            chosen = torch.randperm(len(embeddings))[: self.max_num_vertices].sort()[0]
            embeddings = embeddings[chosen.to(embeddings.device)]
        rows = [
            torch.from_numpy(mesh.geodesic_rows(part.numpy())[:, chosen.numpy()])
            for part in chosen.split(_ROWS)
        ]
        return embeddings, torch.cat(rows).to(embeddings.device)


class PixelToShapeCycleLoss:
    """From the pixels of a person to the vertices of a mesh and back."""

    def __init__(
        self,
        *,
        norm_p: float = 2,
        num_pixels: int = 100,
        temperature_to_vertex: float = 0.05,
        temperature_to_pixel: float = 0.05,
    ):
        """
        Args:
            norm_p: exponent of the norm in :func:`cycle_norm`.
            num_pixels: sampled at random per person; 0 or less: all.
            temperature_to_vertex, temperature_to_pixel: divide the inner products of embeddings
                before the softmax over vertices, and over pixels.
        """
        self.norm_p = norm_p
        self.num_pixels = num_pixels
        self.temperature_to_vertex = temperature_to_vertex
        self.temperature_to_pixel = temperature_to_pixel

    def __call__(
        self, maps: torch.Tensor, masks: torch.Tensor, vertices: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The mean over people and meshes.

        Args:
            maps: (N, D, S, S) embeddings, of any length.
            masks: (N, S, S) bool, true pixels of each person.
            vertices: (n, D) embeddings of each mesh, of length 1.
        """
        losses = []
        for of_person, mask in zip(maps, masks):
            pixels = mask.nonzero()
            if self.num_pixels > 0 and len(pixels) > self.num_pixels:
                chosen = torch.randperm(len(pixels), device=pixels.device)[: self.num_pixels]
                pixels = pixels[chosen]
            rows, columns = pixels.T
            found = normalized(of_person[:, rows, columns].T)
            places = pixels.to(found.dtype)
            squared = ((places[:, None] - places[None]) ** 2).sum(2)
            for embeddings in vertices:
                products = found @ embeddings.T
                there = (products / self.temperature_to_vertex).softmax(1)
                back = (products.T / self.temperature_to_pixel).softmax(1)
                losses.append(cycle_norm(there, back, squared, self.norm_p))
        if not losses:
            return maps.sum() * 0.0
        return torch.stack(losses).mean()
