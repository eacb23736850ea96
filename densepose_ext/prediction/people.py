"""The people of a picture, and conversions: to IUV pictures, vertices, entries of results files.

(H, W) is the picture, (h, w) a person's box, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, SupportsIndex, overload

import cv2
import numpy as np
import torch

from ..evaluation.results import decode_entry, result_entry
from ..structures import DensePoseResult, Person, VertexResult
from ..surface.registry import Surface, get_surface
from ..visualization.compose import compose_index, compose_iuv, stacked
from .charted import charted


class People(list[Person]):
    """A list of :class:`Person`, best score first, that knows the size of its picture.

    A pixel that several people cover belongs to the one with the best score.

    Attributes:
        size: (H, W).
    """

    def __init__(self, persons: Iterable[Person], size: tuple[int, int]):
        super().__init__(persons)
        self.size = (int(size[0]), int(size[1]))

    @overload
    def __getitem__(self, index: SupportsIndex) -> Person: ...
    @overload
    def __getitem__(self, index: slice) -> People: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Person | People:
        """A person; of a slice, such as ``people[:2]``, the people with the picture's size."""
        found = super().__getitem__(index)
        return People(found, self.size) if isinstance(found, list) else found

    def to_iuv(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """(H, W, 3) uint8: I, U * 255, V * 255 (truncated), 0 where nobody is.

        Args:
            size: (height, width) of the result. Default: the picture's. Resized by the nearest
                pixel, since neither parts nor U, V of different parts can be averaged.
        """
        iuv, _ = compose_iuv(self, self.size)
        if size is not None and tuple(size) != self.size:
            iuv = cv2.resize(iuv, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
        return iuv

    def to_index(self) -> np.ndarray:
        """(H, W): the person of each pixel, counted from 1 in the order of this list; 0: nobody.

        uint8, or uint16 for more than 255 people.
        """
        return compose_index(self, self.size)

    def to_vertices(self, surface: Surface | str = "open") -> np.ndarray:
        """(H, W) int32: the vertex of the body nearest to each pixel's I, U, V; -1: nobody.

        For CSE models: the predicted vertex, on the mesh of each person.

        Args:
            surface: the one the model was trained on: a name, a folder of the official files, or
                an object with closest_vertex.
        """
        if isinstance(surface, str):
            surface = get_surface(surface)
        vertices = np.full(self.size, -1, np.int32)
        labels = np.zeros(self.size, np.uint8)
        uv = np.zeros((*self.size, 2), np.float32)
        for n, inside, own in stacked(self, self.size):
            own, result = own[inside.of_labels], self[n].result
            if isinstance(result, VertexResult):  # of a CSE model, which predicts vertices
                found = result.vertices.numpy()[inside.of_labels]
                vertices[inside.of_picture][own > 0] = found[own > 0]
                continue
            own_uv = result.uv.permute(1, 2, 0).numpy()[inside.of_labels]
            cv2.copyTo(own, own, labels[inside.of_picture])
            uv[inside.of_picture][own > 0] = own_uv[own > 0]
        seen = labels > 0
        if seen.any():
            vertices[seen] = surface.closest_vertex(labels[seen], *uv[seen].clip(0, 1).T)
        return vertices

    def to_json(self, image_id: int = 0, category_id: int = 1) -> list[dict]:
        """Entries of a file in the official results format (see :mod:`.evaluation.results`)."""
        entries = []
        for person in self:
            box = np.concatenate([person.box[:2], person.box[2:] - person.box[:2]])
            found = person.result
            dense_pose = found if isinstance(found, VertexResult) else found.iuv_uint8().numpy()
            entries.append(result_entry(image_id, category_id, box, person.score, dense_pose))
        return entries

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All values, unrounded, as arrays by name, to save as an ``.npz`` file.

        ``size`` (2,), ``boxes`` (N, 4) XYXY and ``scores`` (N,); for person n, ``labels_n`` (h, w),
        ``uv_n`` (2, h, w) and the other fields of its :class:`DensePoseResult` or
        :class:`VertexResult` (whose mesh is ``of_mesh_n``), starting at column and row
        ``int(boxes[n, :2])``; ``mask_n`` (H, W) and ``keypoints_n`` (17, 3) if the model has them.
        """
        arrays = {
            "size": np.array(self.size),
            "boxes": np.array([person.box for person in self], np.float32).reshape(-1, 4),
            "scores": np.array([person.score for person in self], np.float64),
        }
        for n, person in enumerate(self):
            own = fields(person.result)
            maps = {field.name: getattr(person.result, field.name) for field in own}
            maps["of_mesh"] = maps.pop("mesh", None)
            maps |= {"mask": person.mask, "keypoints": person.keypoints}
            arrays |= {f"{k}_{n}": np.asarray(v) for k, v in maps.items() if v is not None}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> People:
        """The inverse of :meth:`to_arrays`; also takes what ``numpy.load`` returns.

        Raises:
            KeyError: an array is missing.
        """
        persons = []
        for n, (box, score) in enumerate(zip(arrays["boxes"], arrays["scores"])):
            mesh = arrays.get(f"of_mesh_{n}")
            kind = DensePoseResult if mesh is None else VertexResult
            own = {k: f"{k}_{n}" for k in (f.name for f in fields(kind)) if k != "mesh"}
            maps: dict[str, Any] = {
                k: torch.from_numpy(arrays[v]) for k, v in own.items() if v in arrays
            }
            result = kind(**maps if mesh is None else maps | {"mesh": str(mesh)})
            rest = {k: arrays[f"{k}_{n}"] for k in ("mask", "keypoints") if f"{k}_{n}" in arrays}
            persons.append(Person(box, float(score), result, **rest))
        height, width = arrays["size"]
        return cls(persons, (height, width))

    @classmethod
    def from_json(cls, entries: Iterable[dict], size: tuple[int, int]) -> People:
        """The people of one picture in a results file: the inverse of :meth:`to_json`.

        U and V are the centres of their 8-bit intervals.

        Args:
            entries: as checked by ``evaluation.results.Results``. size: (H, W) of the picture.

        Raises:
            ValueError: uv_data, or vertices, cannot be decoded.
        """
        persons = []
        for entry in entries:
            x, y, w, h = entry["bbox"]
            box = np.array([x, y, x + w, y + h], np.float32)
            persons.append(Person(box, float(entry["score"]), _result(entry)))
        persons.sort(key=lambda person: -person.score)
        return cls(persons, size)


def _result(entry: dict) -> DensePoseResult | VertexResult:
    """The dense pose in an entry of a results file."""
    iuv = decode_entry(entry)
    if isinstance(iuv, VertexResult):
        return charted(iuv)
    labels = np.ascontiguousarray(iuv[0])
    # .5: truncated to 8 bits again, the value is the same
    uv = ((iuv[1:] + np.float32(0.5)) / 255).clip(max=1) * (labels > 0)
    return DensePoseResult(torch.from_numpy(labels), torch.from_numpy(uv))
