"""Synthetic people with exact float I, U, V, and atlases to paint them with."""

import cv2
import numpy as np

from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings
from densepose_ext.synthetic.truth import true_people
from densepose_ext.texture.atlas import Atlas, untiled


def example_with_people(size: int, number: int, people: int = 2):
    """BGR picture and people of a synthetic image."""
    example = make_example(Settings(size=size, people=people), "val", number)
    return np.ascontiguousarray(example.image[:, :, ::-1]), true_people(example)


def random_atlas(tile: int, seed: int = 0, cells: int = 4) -> Atlas:
    """Colours that vary smoothly in each tile, and differently in all."""
    coarse = np.random.default_rng(seed).integers(0, 256, (24, cells, cells, 3)).astype(np.uint8)
    return Atlas(untiled(np.stack([cv2.resize(c, (tile, tile)) for c in coarse])))
