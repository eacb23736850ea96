"""The types that everything in the package passes around.

Shape letters: N people or RoIs, P points, K coarse channels (2 or 15), C = 25 fine channels,
S side of a map, (h, w) a box in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .surface.parts import ANNOTATION_SIDE

if TYPE_CHECKING:
    from typing_extensions import Self

#: Stands for a part, vertex or mesh that is not annotated.
ABSENT = -1


def owned(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, or a copy if it is a view of a larger one.

    torch keeps the whole storage of a view alive, and pickles it whole.
    """
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()


class _PickledAlone:
    """Tensors that are views are pickled, sent and deep-copied without what they are views of."""

    def __getstate__(self) -> dict:
        return {
            name: owned(value) if isinstance(value, torch.Tensor) else value
            for name, value in vars(self).items()
        }


@dataclass
class DensePoseAnnotation(_PickledAlone):
    """Dense pose of one person as annotated: points on the surface, and coarse part masks.

    A point is given in charts (i, u, v), as a vertex of a mesh, or both.

    Attributes:
        x, y: (P,) float32, position in the person's box, in 1/256 of its width and height.
        i: (P,) int64, fine part, 0 (background) to 24, or None.
        u, v: (P,) float32, chart coordinates in [0, 1], or None.
        segm: (256, 256) uint8, coarse part 0..14 at each cell of the box, or None.
        vertex: (P,) int64, vertex of ``mesh``, or None.
        mesh: name of the mesh (``ref_model``), or None.
    """

    x: torch.Tensor
    y: torch.Tensor
    i: torch.Tensor | None = None
    u: torch.Tensor | None = None
    v: torch.Tensor | None = None
    segm: torch.Tensor | None = None
    vertex: torch.Tensor | None = None
    mesh: str | None = None

    def with_charts_only(self) -> DensePoseAnnotation | None:
        """The same without vertices; None if it has no charts."""
        return None if self.i is None else replace(self, vertex=None, mesh=None)

    def with_vertices_only(self) -> DensePoseAnnotation | None:
        """The same without charts; None if it has no vertices."""
        return None if self.vertex is None else replace(self, i=None, u=None, v=None)


class DensePoseAnnotationList(_PickledAlone):
    """Annotations of several people or RoIs: the field ``gt_densepose`` of an ``Instances``.

    A person without dense pose is None. Detectron2 samples hundreds of RoIs out of a few people by
    indexing this list, and the targets of all RoIs are computed at once: so the points of all
    people are stored end to end, and an element is only the number of a person. Indexing copies
    those numbers, never points or masks.
    """

    def __init__(self, annotations: Sequence[DensePoseAnnotation | None]):
        present = [a for a in annotations if a is not None]
        segms = [a.segm for a in present if a.segm is not None]
        counts = [len(a.x) for a in present]
        numbers = iter(range(len(present)))
        segm_numbers = iter(range(len(segms)))

        def joined(name: str, dtype: torch.dtype) -> torch.Tensor:
            values = [getattr(a, name) for a in present]
            if any(value is None for value in values):
                values = [
                    torch.full_like(a.x, ABSENT, dtype=dtype) if value is None else value
                    for a, value in zip(present, values)
                ]
            return torch.cat(values).to(dtype) if values else torch.zeros(0, dtype=dtype)

        #: (N,) int64: the person of each element, -1 for None.
        self.person = torch.tensor([-1 if a is None else next(numbers) for a in annotations]).long()
        #: Points of all people, (sum of P,); i and vertex are ABSENT where they are not annotated.
        self.x, self.y = joined("x", torch.float32), joined("y", torch.float32)
        self.i = joined("i", torch.int64)
        self.u, self.v = joined("u", torch.float32), joined("v", torch.float32)
        self.vertex = joined("vertex", torch.int64)
        #: Meshes by number, and (people,) int64: the number of each person's mesh, ABSENT for none.
        self.meshes = tuple(dict.fromkeys(a.mesh for a in present if a.mesh is not None))
        self.mesh_of_person = torch.tensor(
            [ABSENT if a.mesh is None else self.meshes.index(a.mesh) for a in present]
        ).long()
        #: (people + 1,) int64: person m has the points offsets[m] to offsets[m + 1].
        self.offsets = torch.tensor([0, *counts]).cumsum(0)
        #: (masks, 256, 256) uint8, and (people,) int64: the mask of each person, -1 for none.
        self.segm = (
            torch.stack(segms)
            if segms
            else torch.zeros((0, ANNOTATION_SIDE, ANNOTATION_SIDE), dtype=torch.uint8)
        )
        self.segm_of_person = torch.tensor(
            [-1 if a.segm is None else next(segm_numbers) for a in present]
        ).long()

    _POINTS = ("x", "y", "i", "u", "v", "vertex")
    _STORAGE = (*_POINTS, "offsets", "segm", "segm_of_person", "mesh_of_person")

    def _with(
        self, person: torch.Tensor, meshes: tuple[str, ...] | None = None, **storage: torch.Tensor
    ) -> DensePoseAnnotationList:
        new = object.__new__(DensePoseAnnotationList)
        new.person = person
        new.meshes = self.meshes if meshes is None else meshes
        for name in self._STORAGE:
            setattr(new, name, storage.get(name, getattr(self, name)))
        return new

    def __getstate__(self) -> dict:
        """Without the points and masks of people whom the list no longer has."""
        used, person = self.person[self.present].unique(return_inverse=True)
        if len(used) == len(self.offsets) - 1:
            return super().__getstate__()
        kept = DensePoseAnnotationList([self._of(m) for m in used.tolist()]).to(person.device)
        kept.person = self.person.clone()
        kept.person[self.present] = person
        return vars(kept)

    def __len__(self) -> int:
        return len(self.person)

    def __getitem__(
        self, item: int | slice | torch.Tensor
    ) -> DensePoseAnnotation | DensePoseAnnotationList | None:
        """An int gives one annotation or None; a slice, a mask or an index tensor gives a list."""
        person = self.person[item]
        if not isinstance(item, int):
            return self._with(person)
        return None if person < 0 else self._of(int(person))

    def _of(self, m: int) -> DensePoseAnnotation:
        points = slice(int(self.offsets[m]), int(self.offsets[m + 1]))
        segm, mesh = int(self.segm_of_person[m]), int(self.mesh_of_person[m])
        found = {name: getattr(self, name)[points] for name in self._POINTS}
        if (found["i"] == ABSENT).any():
            found |= dict.fromkeys("iuv")
        return DensePoseAnnotation(
            **found | ({"vertex": None} if mesh < 0 else {"mesh": self.meshes[mesh]}),
            segm=self.segm[segm] if segm >= 0 else None,
        )

    def __iter__(self) -> Iterator[DensePoseAnnotation | None]:
        return (None if m < 0 else self._of(m) for m in self.person.tolist())

    def __repr__(self) -> str:
        present = int((self.person >= 0).sum())
        return f"DensePoseAnnotationList({len(self)} people, {present} with dense pose)"

    @property
    def present(self) -> torch.Tensor:
        """(N,) bool: which elements have dense pose."""
        return self.person >= 0

    def to(self, device: torch.device | str) -> DensePoseAnnotationList:
        storage = {name: getattr(self, name).to(device) for name in self._STORAGE}
        return self._with(self.person.to(device), **storage)

    @staticmethod
    def cat(lists: Sequence[DensePoseAnnotationList]) -> DensePoseAnnotationList:
        """One list of all elements, in order. The lists must be on one device."""
        if len(lists) == 1:
            return lists[0]
        storage = {
            name: torch.cat([getattr(a, name) for a in lists])
            for name in (*DensePoseAnnotationList._POINTS, "segm")
        }
        meshes = tuple(dict.fromkeys(name for a in lists for name in a.meshes))
        storage["mesh_of_person"] = torch.cat([a._mesh_numbers(meshes) for a in lists])
        person, offsets, segm_of_person = [], [lists[0].offsets[:1]], []
        people = points = masks = 0
        for a in lists:
            person.append(torch.where(a.person >= 0, a.person + people, a.person))
            offsets.append(a.offsets[1:] + points)
            segm_of_person.append(
                torch.where(a.segm_of_person >= 0, a.segm_of_person + masks, a.segm_of_person)
            )
            people += len(a.offsets) - 1
            points += len(a.x)
            masks += len(a.segm)
        storage["offsets"] = torch.cat(offsets)
        storage["segm_of_person"] = torch.cat(segm_of_person)
        return lists[0]._with(torch.cat(person), meshes, **storage)

    def _mesh_numbers(self, meshes: tuple[str, ...]) -> torch.Tensor:
        """(people,): ``mesh_of_person`` by their numbers in a longer list of meshes."""
        if self.meshes == meshes[: len(self.meshes)]:
            return self.mesh_of_person
        number = torch.tensor([*(meshes.index(name) for name in self.meshes), ABSENT])
        return number.to(self.mesh_of_person.device)[self.mesh_of_person]


class _Maps(_PickledAlone):
    """What the two kinds of output share: maps of N people, by name."""

    coarse_segm: torch.Tensor

    def items(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Name and map of every field that is there."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, torch.Tensor):
                yield field.name, value

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        """The same with ``function`` applied to every map that is there."""
        return type(self)(**{name: function(value) for name, value in self.items()})

    def __len__(self) -> int:
        return len(self.coarse_segm)

    def __getitem__(self, item: int | slice | torch.Tensor) -> Self:
        """A subset of the people; an int keeps the first dimension, as Instances does."""
        if isinstance(item, int):
            item = slice(item, None if item == -1 else item + 1)
        return self.map(lambda value: value[item])

    def to(self, *args: Any, **kwargs: Any) -> Self:
        return self.map(lambda value: value.to(*args, **kwargs))

    @staticmethod
    def cat(outputs: Sequence[_Maps]) -> _Maps:
        """All people, in order. The outputs must have the same fields."""
        columns: dict[str, list[torch.Tensor]] = {}
        for output in outputs:
            for name, value in output.items():
                columns.setdefault(name, []).append(value)
        return type(outputs[0])(**{name: torch.cat(maps) for name, maps in columns.items()})


@dataclass
class DensePoseOutput(_Maps):
    """What the network says of N people, in maps over their boxes: ``pred_densepose``.

    Attributes:
        coarse_segm: (N, K, S, S) logits of background and person (K = 2), or of background and
            the 14 coarse parts (K = 15).
        fine_segm: (N, 25, S, S) logits of background and the 24 fine parts.
        u, v: (N, 25, S, S) chart coordinates under the assumption that a pixel is of part c.
        sigma_2: (N, 25, S, S), before the softplus, with confidences in U and V.
        kappa_u, kappa_v: (N, 25, S, S), with anisotropic confidences in U and V.
        fine_segm_confidence, coarse_segm_confidence: (N, 1, S, S), positive; the logits above
            are already multiplied by them.
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
    """What a network of embeddings says of N people, in maps over their boxes: ``pred_densepose``.

    Attributes:
        coarse_segm: (N, K, S, S) logits, as of :class:`DensePoseOutput`.
        embedding: (N, D, S, S), in the space of the embeddings of vertices; of any length.
        coarse_segm_confidence: (N, 1, S, S), positive; the logits are multiplied by it already.
        meshes: at inference, what the embeddings are compared with.
    """

    coarse_segm: torch.Tensor
    embedding: torch.Tensor
    coarse_segm_confidence: torch.Tensor | None = None
    meshes: MeshesOfPeople | None = None

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> DensePoseEmbeddingOutput:
        """The same with ``function`` applied to every map that is there."""
        new = super().map(function)
        new.meshes = self.meshes
        return new

    def __getitem__(self, item: int | slice | torch.Tensor) -> DensePoseEmbeddingOutput:
        """A subset of the people; an int keeps the first dimension, as Instances does."""
        new = super().__getitem__(item)
        if self.meshes is not None:
            new.meshes = self.meshes[item]
        return new

    def to(self, *args: Any, **kwargs: Any) -> DensePoseEmbeddingOutput:
        new = super().to(*args, **kwargs)
        if self.meshes is not None:
            new.meshes = self.meshes.to(new.embedding.device)
        return new

    @staticmethod
    def cat(outputs: Sequence[DensePoseEmbeddingOutput]) -> DensePoseEmbeddingOutput:
        """All people, in order. The outputs must be of one model."""
        new = _Maps.cat(outputs)
        if all(output.meshes is not None for output in outputs):
            numbers = torch.cat([output.meshes.mesh_of_person for output in outputs])
            new.meshes = replace(outputs[0].meshes, mesh_of_person=numbers)
        return new


@dataclass(frozen=True)
class MeshesOfPeople:
    """The mesh of each of N people, and the embeddings of its vertices.

    Attributes:
        vertices: mesh name -> (n, D) embeddings of length 1.
        mesh_of_person: (N,) int64, number of a mesh in ``vertices``.
    """

    vertices: dict[str, torch.Tensor]
    mesh_of_person: torch.Tensor

    def __getitem__(self, item: int | slice | torch.Tensor) -> MeshesOfPeople:
        if isinstance(item, int):
            item = slice(item, None if item == -1 else item + 1)
        return replace(self, mesh_of_person=self.mesh_of_person[item])

    def to(self, device: torch.device | str) -> MeshesOfPeople:
        vertices = {name: value.to(device) for name, value in self.vertices.items()}
        return MeshesOfPeople(vertices, self.mesh_of_person.to(device))

    def names(self) -> list[str]:
        """The name of each person's mesh."""
        names = list(self.vertices)
        return [names[number] for number in self.mesh_of_person.tolist()]


@dataclass
class DensePoseResult(_PickledAlone):
    """Dense pose of one person, pixel by pixel, in a box of whole pixels.

    The box starts at ``int(x0), int(y0)`` of the detected box.

    Attributes:
        labels: (h, w) uint8, fine part of each pixel, 0 for background.
        uv: (2, h, w) float32, chart coordinates, 0 on background. Not clamped: the network may
            leave [0, 1] a little.
        sigma_2, kappa_u, kappa_v: (h, w) float32 or None, at the label's channel, 0 on background.
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
        """The same with ``function`` applied to every tensor that is there."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return type(self)(**{n: function(value) for n, value in values if value is not None})

    def iuv_uint8(self) -> torch.Tensor:
        """(3, h, w) uint8: I, U * 255, V * 255, as result files store them (truncated)."""
        uv = (self.uv.clamp(0, 1) * 255).to(torch.uint8)
        return torch.cat([self.labels[None], uv])


@dataclass
class VertexResult(_PickledAlone):
    """Vertices of a mesh that one person's pixels are, in a box of whole pixels.

    The box starts at ``int(x0), int(y0)`` of the detected box.

    Attributes:
        labels: (h, w) uint8, 0 for background, else the coarse part of each pixel (1 for the
            person in models of two coarse channels); the fine part where ``uv`` is there.
        vertices: (h, w) int32, 0 on background.
        mesh: name of the mesh.
        uv: (2, h, w) float32, the vertices' chart coordinates, if the mesh has charts.
        embedding: (D, h, w) float32 of the pixels, if it was asked for.
    """

    labels: torch.Tensor
    vertices: torch.Tensor
    mesh: str
    uv: torch.Tensor | None = None
    embedding: torch.Tensor | None = None

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> VertexResult:
        """The same with ``function`` applied to every tensor that is there."""
        values = {name: getattr(self, name) for name in ("labels", "vertices", "uv", "embedding")}
        return replace(self, **{n: function(v) for n, v in values.items() if v is not None})

    def iuv_uint8(self) -> torch.Tensor:
        """(3, h, w) uint8: I, U * 255, V * 255, as of :class:`DensePoseResult`.

        Raises:
            ValueError: the mesh has no charts.
        """
        if self.uv is None:
            raise ValueError(f"the mesh {self.mesh} has no charts, so there are no I, U, V")
        uv = (self.uv.clamp(0, 1) * 255).to(torch.uint8)
        return torch.cat([self.labels[None], uv])


@dataclass
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
        """Column and row of the picture's pixel where the labels start."""
        return int(self.box[0]), int(self.box[1])
