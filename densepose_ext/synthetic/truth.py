"""The ground truth of synthetic people, in the form of a model's predictions."""

from __future__ import annotations

import numpy as np
import torch

from ..structures import DensePoseResult, Person
from ..surface.surface import BodySurface
from .annotations import part_map
from .example import Example


def true_people(example: Example) -> list[Person]:
    """The people of an image, with I, U, V at every pixel in which their body is visible.

    Args:
        example: from ``make_example``.

    Returns:
        a person of score 1 for each annotation, in order. Pixels of hair and skirts with no body
        beneath are background.
    """
    surface = BodySurface.load()
    people = []
    for annotation in example.annotations:
        index = annotation["person"]
        x, y, width, height = annotation["bbox"]
        window = slice(y, y + height), slice(x, x + width)
        body = example.seen.bodies[index]
        shown = part_map(example.seen, surface, index)[window] > 0
        i, u, v = surface.iuv(body.face[window][shown], body.barycentric[window][shown])
        labels, uv = np.zeros(shown.shape, np.uint8), np.zeros((2, *shown.shape), np.float32)
        labels[shown] = i
        uv[:, shown] = np.stack([u, v])
        result = DensePoseResult(torch.from_numpy(labels), torch.from_numpy(uv))
        box = np.array([x, y, x + width, y + height], np.float32)
        people.append(Person(box, 1.0, result, mask=example.seen.owner == index))
    return people
