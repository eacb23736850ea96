"""Raw outputs of the network: maps over the boxes of people.

N people or RoIs, K coarse channels (2 or 15), 25 fine channels, S side of a map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch

from .storage import PickledAlone

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class _Maps(PickledAlone):
    """Named maps of N people: the common part of both kinds of output."""

    coarse_segm: torch.Tensor

    def items(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Name and value of every field that holds a map."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, torch.Tensor):
                yield field.name, value

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        """A copy with ``function`` applied to every map."""
        return type(self)(**{name: function(value) for name, value in self.items()})

    def __len__(self) -> int:
        return len(self.coarse_segm)

    def __getitem__(self, item: int | slice | torch.Tensor) -> Self:
        """A subset of the people; an int keeps the first dimension, as Instances does."""
        return self.map(lambda value: value[_subset(item)])

    def to(self, *args: Any, **kwargs: Any) -> Self:
        return self.map(lambda value: value.to(*args, **kwargs))

    @classmethod
    def cat(cls, outputs: Sequence[Self]) -> Self:
        """All people, in order. The outputs must have the same fields."""
        columns: dict[str, list[torch.Tensor]] = {}
        for output in outputs:
            for name, value in output.items():
                columns.setdefault(name, []).append(value)
        return cls(**{name: torch.cat(maps) for name, maps in columns.items()})


@dataclass
class DensePoseOutput(_Maps):
    """Raw output of a chart model for N people: the field ``pred_densepose``.

    Attributes:
        coarse_segm: (N, K, S, S) logits of background and person (K = 2), or of background and
            the 14 coarse parts (K = 15).
        fine_segm: (N, 25, S, S) logits of background and the 24 fine parts.
        u, v: (N, 25, S, S) chart coordinates; channel c holds those of pixels of part c.
        sigma_2: (N, 25, S, S), before the softplus; only with UV_CONFIDENCE.
        kappa_u, kappa_v: (N, 25, S, S); only with UV_CONFIDENCE of TYPE indep_aniso.
        fine_segm_confidence, coarse_segm_confidence: (N, 1, S, S), positive; the logits above
            are already multiplied by them. Only with SEGM_CONFIDENCE.
    """

    coarse_segm: torch.Tensor
    fine_segm: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor
    sigma_2: torch.Tensor | None = None
    kappa_u: torch.Tensor | None = None
    kappa_v: torch.Tensor | None = None
    fine_segm_confidence: torch.Tensor | None = None
    coarse_segm_confidence: torch.Tensor | None = None


@dataclass
class DensePoseEmbeddingOutput(_Maps):
    """Raw output of a CSE model for N people: the field ``pred_densepose``.

    Attributes:
        coarse_segm: (N, K, S, S) logits, as in :class:`DensePoseOutput`.
        embedding: (N, D, S, S), not normalized.
        coarse_segm_confidence: (N, 1, S, S), positive; the logits are already multiplied by it.
        meshes: at inference, the vertices that the embeddings are compared with.
    """

    coarse_segm: torch.Tensor
    embedding: torch.Tensor
    coarse_segm_confidence: torch.Tensor | None = None
    meshes: MeshesOfPeople | None = None

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        """A copy with ``function`` applied to every map."""
        new = super().map(function)
        new.meshes = self.meshes
        return new

    def __getitem__(self, item: int | slice | torch.Tensor) -> Self:
        """A subset of the people; an int keeps the first dimension, as Instances does."""
        new = super().__getitem__(item)
        if self.meshes is not None:
            new.meshes = self.meshes[item]
        return new

    def to(self, *args: Any, **kwargs: Any) -> Self:
        new = super().to(*args, **kwargs)
        if self.meshes is not None:
            new.meshes = self.meshes.to(new.embedding.device)
        return new

    @classmethod
    def cat(cls, outputs: Sequence[Self]) -> Self:
        """All people, in order. The outputs must come from one model."""
        new = super().cat(outputs)
        meshes = [output.meshes for output in outputs if output.meshes is not None]
        if len(meshes) == len(outputs):
            numbers = torch.cat([of_output.mesh_of_person for of_output in meshes])
            new.meshes = replace(meshes[0], mesh_of_person=numbers)
        return new


@dataclass(frozen=True)
class MeshesOfPeople:
    """The mesh of each of N people, and the embeddings of its vertices.

    Attributes:
        vertices: mesh name -> (n, D) embeddings of unit length.
        mesh_of_person: (N,) int64, index of a mesh in ``vertices``.
    """

    vertices: dict[str, torch.Tensor]
    mesh_of_person: torch.Tensor

    def __getitem__(self, item: int | slice | torch.Tensor) -> MeshesOfPeople:
        return replace(self, mesh_of_person=self.mesh_of_person[_subset(item)])

    def to(self, device: torch.device | str) -> MeshesOfPeople:
        vertices = {name: value.to(device) for name, value in self.vertices.items()}
        return MeshesOfPeople(vertices, self.mesh_of_person.to(device))

    def names(self) -> list[str]:
        """The name of each person's mesh."""
        names = list(self.vertices)
        return [names[number] for number in self.mesh_of_person.tolist()]


def _subset(item: int | slice | torch.Tensor) -> slice | torch.Tensor:
    """The same index, or, of an int, one that keeps the first dimension."""
    if not isinstance(item, int):
        return item
    return slice(item, None if item == -1 else item + 1)
