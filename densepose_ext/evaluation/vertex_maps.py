"""Detections of CSE models, decoded lazily: vertices at points, and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ..modeling.embeddings.nearest_vertex import nearest_vertices
from ..modeling.embeddings.vertex_results import coarse_labels, vertex_results
from ..structures import DensePoseEmbeddingOutput, VertexResult
from .detections import bilinear_cells


class EmbeddingMaps:
    """Raw embeddings of the network, resized to boxes as needed."""

    def __init__(self, output: DensePoseEmbeddingOutput, sizes: np.ndarray):
        """
        Args:
            output: of D detections, with their meshes, on any device.
            sizes: (D, 2) width and height of the boxes in pixels.
        """
        self._output = output
        self._sizes = np.maximum(np.asarray(sizes).astype(np.int64), 1)
        self._last: tuple[int, torch.Tensor] | None = None

    def _person(self, n: int) -> torch.Tensor:
        """(h, w) bool: the person's mask. The last one is cached, for its points and mask."""
        if self._last is None or self._last[0] != n:
            width, height = (int(length) for length in self._sizes[n])
            self._last = int(n), coarse_labels(self._output[int(n)], (height, width)) > 0
        return self._last[1]

    @torch.no_grad()
    def mask(self, n: int) -> np.ndarray:
        """Where detection ``n`` has a person. bool, shape (h, w)."""
        return self._person(n).cpu().numpy()

    @torch.no_grad()
    def vertices_at(self, n: int, px: np.ndarray, py: np.ndarray, mesh: str) -> np.ndarray:
        """Vertices of a mesh at pixels of a detection's box. int64 (P,), -1 outside the person.

        Raises:
            ValueError: the model has no embedder of that mesh.
        """
        known = self._output.meshes.vertices
        if mesh not in known:
            raise ValueError(
                f"ref_model {mesh!r} has no embedder; the model has {', '.join(known)}"
            )
        person = self._person(n)
        x, y = (torch.as_tensor(p, device=person.device) for p in (px, py))
        embedding = self._output.embedding[int(n)].float()
        width, height = (int(length) for length in self._sizes[n])
        (rows, columns), weights = bilinear_cells(x, y, width, height, embedding.shape[-1])
        values = (embedding[:, rows, columns] * weights).sum(1)
        found = nearest_vertices(values.T, known[mesh])
        return torch.where(person[y, x], found, -1).cpu().numpy()

    def whole(self, n: int) -> VertexResult:
        """The whole of detection ``n``, on the CPU."""
        width, height = (int(length) for length in self._sizes[n])
        (result,) = vertex_results(self._output[int(n)], [(height, width)])
        return result.map(torch.Tensor.cpu)


class VertexArrayMaps:
    """Vertices given pixel by pixel, loaded on first use."""

    def __init__(self, load: Sequence[Callable[[], VertexResult]]):
        """
        Args:
            load: a function per detection that returns its vertices, on the CPU.
        """
        self._load = load
        self._results: dict[int, VertexResult] = {}

    def mask(self, n: int) -> np.ndarray:
        return np.asarray(self.whole(n).labels) > 0

    def vertices_at(self, n: int, px: np.ndarray, py: np.ndarray, mesh: str) -> np.ndarray:
        result, found = self.whole(n), np.full(len(px), -1)
        if result.mesh == mesh:
            vertices = np.where(self.mask(n), np.asarray(result.vertices), -1)
            # The map may be a pixel smaller than the box, which is rounded in the file.
            inside = (px < vertices.shape[1]) & (py < vertices.shape[0])
            found[inside] = vertices[py[inside], px[inside]]
        return found

    def whole(self, n: int) -> VertexResult:
        if n not in self._results:
            self._results[n] = self._load[n]()
        return self._results[n]
