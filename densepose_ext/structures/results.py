"""Results: dense pose of people, pixel by pixel. (h, w) is a box, (H, W) a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from .storage import PickledAlone


@dataclass(eq=False, repr=False)
class DensePoseResult(PickledAlone):
    """Dense pose of one person, pixel by pixel, in a box of whole pixels.

    The box starts at ``int(x0), int(y0)`` of the detected box.

    Attributes:
        labels: (h, w) uint8, fine part of each pixel, 0 for background.
        uv: (2, h, w) float32, chart coordinates, 0 on background. Not clamped: values may lie
            slightly outside [0, 1].
        sigma_2, kappa_u, kappa_v: (h, w) float32 or None, of the pixel's part, 0 on background.
        fine_segm_confidence, coarse_segm_confidence: (h, w) float32 or None.
    """

    labels: torch.Tensor
    uv: torch.Tensor
    sigma_2: torch.Tensor | None = None
    kappa_u: torch.Tensor | None = None
    kappa_v: torch.Tensor | None = None
    fine_segm_confidence: torch.Tensor | None = None
    coarse_segm_confidence: torch.Tensor | None = None

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> DensePoseResult:
        """A copy with ``function`` applied to every tensor."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return type(self)(**{n: function(value) for n, value in values if value is not None})

    @property
    def chart_uv(self) -> torch.Tensor:
        """(2, h, w): U and V, as of a :class:`VertexResult` whose mesh has charts."""
        return self.uv

    def iuv_uint8(self) -> torch.Tensor:
        """(3, h, w) uint8: I, U * 255, V * 255, as result files store them (truncated)."""
        return _iuv_uint8(self.labels, self.uv)

    def __repr__(self) -> str:
        return f"DensePoseResult({_size(self.labels)})"


@dataclass(eq=False, repr=False)
class VertexResult(PickledAlone):
    """The mesh vertex of each pixel of one person, in a box of whole pixels.

    The box starts at ``int(x0), int(y0)`` of the detected box.

    Attributes:
        labels: (h, w) uint8, 0 for background. With ``uv``: the fine part of each pixel; without:
            its coarse part (1 in models with two coarse channels).
        vertices: (h, w) int32, 0 on background.
        mesh: name of the mesh.
        uv: (2, h, w) float32, the vertices' chart coordinates, if the mesh has charts.
        embedding: (D, h, w) float32 of the pixels, if requested.
    """

    labels: torch.Tensor
    vertices: torch.Tensor
    mesh: str
    uv: torch.Tensor | None = None
    embedding: torch.Tensor | None = None

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> VertexResult:
        """A copy with ``function`` applied to every tensor."""
        return replace(
            self,
            labels=function(self.labels),
            vertices=function(self.vertices),
            uv=None if self.uv is None else function(self.uv),
            embedding=None if self.embedding is None else function(self.embedding),
        )

    @property
    def chart_uv(self) -> torch.Tensor:
        """(2, h, w): U and V.

        Raises:
            ValueError: the mesh has no charts.
        """
        if self.uv is None:
            raise ValueError(f"the mesh {self.mesh} has no charts, and so no I, U, V")
        return self.uv

    def iuv_uint8(self) -> torch.Tensor:
        """(3, h, w) uint8: I, U * 255, V * 255, as :meth:`DensePoseResult.iuv_uint8`.

        Raises:
            ValueError: the mesh has no charts.
        """
        return _iuv_uint8(self.labels, self.chart_uv)


def _iuv_uint8(labels: torch.Tensor, uv: torch.Tensor) -> torch.Tensor:
    return torch.cat([labels[None], (uv.clamp(0, 1) * 255).to(torch.uint8)])

    def __repr__(self) -> str:
        return f"VertexResult({_size(self.labels)}, mesh={self.mesh!r})"


@dataclass(eq=False, repr=False)
class Person:
    """One person found in a picture.

    Attributes:
        box: (4,) float32 XYXY, in the picture's pixels.
        score: of the detection, 0 to 1.
        result: dense pose in the box, on the CPU, in charts or as vertices of a mesh; its labels
            start at :attr:`corner`.
        mask: (H, W) bool of the picture, if the model has a mask head.
        keypoints: (17, 3) float32 x, y, score, if the model has a keypoint head.
    """

    box: np.ndarray
    score: float
    result: DensePoseResult | VertexResult
    mask: np.ndarray | None = None
    keypoints: np.ndarray | None = None

    @property
    def corner(self) -> tuple[int, int]:
        """(column, row) in the picture of the top left pixel of the labels."""
        return int(self.box[0]), int(self.box[1])

    def __repr__(self) -> str:
        box = ", ".join(f"{value:.1f}" for value in self.box)
        return f"Person(box=[{box}], score={self.score:.3f}, result={self.result!r})"


def _size(labels: torch.Tensor) -> str:
    return " x ".join(map(str, labels.shape)) + " pixels"
