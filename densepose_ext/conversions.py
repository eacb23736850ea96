"""The people of a picture, and what they become: IUV pictures, vertices, entries of a results file.

(H, W) is the picture, (h, w) a person's box, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import torch

from .evaluation.results import decode_iuv, result_entry
from .structures import DensePoseResult, Person
from .surface.registry import Surface, get_surface


class People(list[Person]):
    """A list of :class:`Person`, best score first, that knows the size of its picture.

    Where several people cover a pixel, the one with the best score has it.

    Attributes:
        size: (H, W).
    """

    def __init__(self, persons: Iterable[Person], size: tuple[int, int]):
        super().__init__(persons)
        self.size = (int(size[0]), int(size[1]))

    def to_iuv(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """(H, W, 3) uint8: I, U * 255, V * 255 (truncated), 0 where nobody is.

        Args:
            size: (height, width) of the result, if it is not to be the picture's; each pixel is
                then the nearest one, since neither parts nor U, V across parts have a mean.
        """
        iuv = np.zeros((*self.size, 3), np.uint8)
        for _, person, (picture, box), on_body in self._painted():
            values = person.result.iuv_uint8().permute(1, 2, 0).numpy()
            iuv[picture][on_body] = values[box][on_body]
        if size is not None and tuple(size) != self.size:
            iuv = cv2.resize(iuv, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
        return iuv

    def to_index(self) -> np.ndarray:
        """(H, W): whom a pixel is of, counted from 1 in the order of this list, 0 for nobody.

        uint8, or uint16 for more than 255 people.
        """
        index = np.zeros(self.size, np.uint8 if len(self) < 256 else np.uint16)
        for number, _, (picture, _), on_body in self._painted():
            index[picture][on_body] = number + 1
        return index

    def to_vertices(self, surface: Surface | str = "open") -> np.ndarray:
        """(H, W) int32: the body's vertex that is nearest in its chart, -1 where nobody is.

        Args:
            surface: that the model was trained on: a name, a folder of the official files, or an
                object with closest_vertex.
        """
        if isinstance(surface, str):
            surface = get_surface(surface)
        vertices = np.full(self.size, -1, np.int32)
        labels = np.zeros(self.size, np.uint8)
        uv = np.zeros((*self.size, 2), np.float32)
        for _, person, (picture, box), on_body in self._painted():
            labels[picture][on_body] = person.result.labels.numpy()[box][on_body]
            uv[picture][on_body] = person.result.uv.permute(1, 2, 0).numpy()[box][on_body]
        seen = labels > 0
        if seen.any():
            vertices[seen] = surface.closest_vertex(labels[seen], *uv[seen].clip(0, 1).T)
        return vertices

    def to_json(self, image_id: int = 0, category_id: int = 1) -> list[dict]:
        """Entries of a file in the official results format (see :mod:`.evaluation.results`)."""
        return [
            result_entry(
                image_id,
                category_id,
                np.concatenate([person.box[:2], person.box[2:] - person.box[:2]]),
                person.score,
                person.result.iuv_uint8().numpy(),
            )
            for person in self
        ]

    @classmethod
    def from_json(cls, entries: Iterable[dict], size: tuple[int, int]) -> People:
        """The people of one picture out of a results file: the reverse of :meth:`to_json`.

        U and V are the middle of what their 8 bits stand for.

        Args:
            entries: as checked by ``evaluation.results.Results``. size: (H, W) of the picture.

        Raises:
            ValueError: uv_data cannot be decoded.
        """
        persons = []
        for entry in entries:
            x, y, w, h = entry["bbox"]
            iuv = decode_iuv(entry["uv_data"], entry["uv_shape"])
            labels = np.ascontiguousarray(iuv[0])
            # .5: an 8-bit value is a truncated one, and comes out the same again
            uv = ((iuv[1:] + np.float32(0.5)) / 255).clip(max=1) * (labels > 0)
            result = DensePoseResult(torch.from_numpy(labels), torch.from_numpy(uv))
            box = np.array([x, y, x + w, y + h], np.float32)
            persons.append(Person(box, float(entry["score"]), result))
        persons.sort(key=lambda person: -person.score)
        return cls(persons, size)

    def _painted(self):
        """Number, person, windows and (h, w) bool of the body, the best score last."""
        for number in sorted(range(len(self)), key=lambda n: (self[n].score, -n)):
            person = self[number]
            picture, box = windows(person, self.size)
            on_body = person.result.labels.numpy()[box] > 0
            yield number, person, (picture, box), on_body


def windows(
    person: Person, size: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a person's labels lie in the picture: ``picture[first]`` is under ``labels[second]``.

    Labels that lie outside the picture are left out of both.

    Args:
        size: (H, W) of the picture.

    Returns:
        two pairs of slices, of rows and of columns.
    """
    left, top = person.corner
    height, width = person.result.labels.shape
    y0, y1 = (min(max(y, 0), size[0]) for y in (top, top + height))
    x0, x1 = (min(max(x, 0), size[1]) for x in (left, left + width))
    return (
        (slice(y0, y1), slice(x0, x1)),
        (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)),
    )
