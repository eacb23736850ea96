"""Dense pose annotations of one person, and of many. P points, N people or RoIs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ..surface.parts import ANNOTATION_SIDE
from .storage import PickledAlone

#: Marks a person, mask, part, vertex or mesh that is not annotated.
ABSENT = -1


@dataclass
class DensePoseAnnotation(PickledAlone):
    """Annotated dense pose of one person: points on the surface, and coarse part masks.

    Points are annotated in charts (i, u, v), as vertices of a mesh, or both.

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
        """A copy without vertices; None if there are no chart coordinates."""
        return None if self.i is None else replace(self, vertex=None, mesh=None)

    def with_vertices_only(self) -> DensePoseAnnotation | None:
        """A copy without chart coordinates; None if there are no vertices."""
        return None if self.vertex is None else replace(self, i=None, u=None, v=None)


class DensePoseAnnotationList(PickledAlone):
    """Annotations of several people or RoIs: the field ``gt_densepose`` of an ``Instances``.

    A person without dense pose is None. Detectron2 indexes this list to sample hundreds of RoIs
    from a few people, and the targets of all RoIs are computed at once. So the points of all people
    are stored end to end, and an element is only the index of a person: indexing the list copies
    these indices, never points or masks.
    """

    _POINTS = ("x", "y", "i", "u", "v", "vertex")
    _STORAGE = (*_POINTS, "offsets", "segm", "segm_of_person", "mesh_of_person")

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

        #: (N,) int64: the person of each element, ABSENT for None.
        self.person = torch.tensor(
            [ABSENT if a is None else next(numbers) for a in annotations]
        ).long()
        #: Points of all people, (sum of P,); i and vertex are ABSENT where not annotated.
        self.x, self.y = joined("x", torch.float32), joined("y", torch.float32)
        self.i = joined("i", torch.int64)
        self.u, self.v = joined("u", torch.float32), joined("v", torch.float32)
        self.vertex = joined("vertex", torch.int64)
        #: Names of meshes, and (people,) int64: index of each person's mesh, ABSENT for none.
        self.meshes = tuple(dict.fromkeys(a.mesh for a in present if a.mesh is not None))
        self.mesh_of_person = torch.tensor(
            [ABSENT if a.mesh is None else self.meshes.index(a.mesh) for a in present]
        ).long()
        #: (people + 1,) int64: person m has the points offsets[m] to offsets[m + 1].
        self.offsets = torch.tensor([0, *counts]).cumsum(0)
        #: (masks, 256, 256) uint8, and (people,) int64: index of each person's mask, ABSENT for
        #: none.
        self.segm = (
            torch.stack(segms)
            if segms
            else torch.zeros((0, ANNOTATION_SIDE, ANNOTATION_SIDE), dtype=torch.uint8)
        )
        self.segm_of_person = torch.tensor(
            [ABSENT if a.segm is None else next(segm_numbers) for a in present]
        ).long()

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
        """Drops the points and masks of people who are no longer in the list."""
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
        present = int(self.present.sum())
        return f"DensePoseAnnotationList(people={len(self)}, with_dense_pose={present})"

    @property
    def present(self) -> torch.Tensor:
        """(N,) bool: whether each element has dense pose."""
        return self.person >= 0

    def to(self, device: torch.device | str) -> DensePoseAnnotationList:
        storage = {name: getattr(self, name).to(device) for name in self._STORAGE}
        return self._with(self.person.to(device), **storage)

    @staticmethod
    def cat(lists: Sequence[DensePoseAnnotationList]) -> DensePoseAnnotationList:
        """One list of all elements, in order. The lists must be on one device."""
        if all(a.x is lists[0].x for a in lists):  # parts of one list
            return lists[0]._with(torch.cat([a.person for a in lists]))
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
        """(people,): ``mesh_of_person``, as indices into a longer list of meshes."""
        if self.meshes == meshes[: len(self.meshes)]:
            return self.mesh_of_person
        number = torch.tensor([*(meshes.index(name) for name in self.meshes), ABSENT])
        return number.to(self.mesh_of_person.device)[self.mesh_of_person]
