"""Synthetic people with exact float I, U, V, and atlases to paint them with."""

import cv2
import numpy as np
import torch

from densepose_ext.structures import DensePoseResult, Person
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic.annotations import part_map
from densepose_ext.synthetic.dataset import Settings, make_example
from densepose_ext.texture.atlas import Atlas, untiled


def people_of(example) -> list[Person]:
    """The people of a synthetic image, with the truth in place of a network's result."""
    surface, people = BodySurface.load(), []
    for annotation in example.annotations:
        x, y, w, h = annotation["bbox"]
        parts = part_map(example.seen, surface, annotation["person"])[y : y + h, x : x + w]
        if not parts.any():
            continue
        body, shown = example.seen.bodies[annotation["person"]], parts > 0
        face = body.face[y : y + h, x : x + w][shown]
        _, u, v = surface.iuv(face, body.barycentric[y : y + h, x : x + w][shown])
        uv = np.zeros((2, h, w), np.float32)
        uv[:, shown] = u, v
        result = DensePoseResult(torch.from_numpy(parts), torch.from_numpy(uv))
        people.append(Person(np.array([x, y, x + w, y + h], np.float32), 1 - y / 1e4, result))
    return people


def example_with_people(size: int, number: int, people: int = 2):
    """BGR picture and people of a synthetic image."""
    example = make_example(Settings(size=size, people=people), "val", number)
    return np.ascontiguousarray(example.image[:, :, ::-1]), people_of(example)


def random_atlas(tile: int, seed: int = 0, cells: int = 4) -> Atlas:
    """Colours that vary smoothly in each tile, and differently in all."""
    coarse = np.random.default_rng(seed).integers(0, 256, (24, cells, cells, 3)).astype(np.uint8)
    return Atlas(untiled(np.stack([cv2.resize(c, (tile, tile)) for c in coarse])))
