"""Finds people in uploaded pictures, with a cache."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import fields
from hashlib import sha256

import numpy as np
import torch

from ..prediction.people import People
from .models import Models, above
from .uploads import decode_picture

#: Maximum size of the cache, bytes.
REMEMBERED = 256 << 20


class Finder:
    """Finds people in pictures, and caches them by picture and model.

    So the network does not run again for another score or format of the same picture, which the
    page requests often.
    """

    def __init__(self, models: Models, remembered: int = REMEMBERED):
        """
        Args:
            remembered: maximum size of the cache, bytes.
        """
        self._models, self._limit = models, remembered
        self._known: OrderedDict[tuple[str, bytes], People] = OrderedDict()
        self._size = 0

    def find(
        self, content: bytes, model: str, min_score: float | None
    ) -> tuple[np.ndarray, People]:
        """The picture (H, W, 3) BGR, and its people, best score first. Not thread-safe.

        Args:
            content: content of a picture file.
            min_score: people with lower scores are left out.

        Raises:
            Refusal: the picture is damaged, the score is below the model's minimum, or the model
                cannot be opened.
        """
        picture = decode_picture(content)
        key = model, sha256(content).digest()
        people = self._known.get(key)
        if people is None:
            people = self._models.predictor(model)(picture)
            self._remember(key, people)
        else:
            self._known.move_to_end(key)
        return picture, above(people, self._models.score(model, min_score))

    def _remember(self, key: tuple[str, bytes], people: People) -> None:
        self._known[key] = people
        self._size += _size(people)
        while self._size > self._limit:
            _, forgotten = self._known.popitem(last=False)
            self._size -= _size(forgotten)


def _size(people: People) -> int:
    """Memory used by people, bytes."""
    size = 1000
    for person in people:
        values = [getattr(person.result, field.name) for field in fields(person.result)]
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        size += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        size += 0 if person.mask is None else person.mask.nbytes
    return size
