"""Dressing one person in the texture of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..structures import Person
from .apply import apply_texture
from .atlas import TILE, Atlas
from .extract import TextureExtractor
from .fill import fill_atlas


def atlas_of(picture: np.ndarray, person: Person, tile: int = TILE, flatten: bool = True) -> Atlas:
    """The whole atlas of a person in one picture (H, W, 3) uint8 BGR: what is not seen is guessed.

    Args:
        tile: side of the atlas's tiles.
        flatten: take out the light that falls on the person.

    Raises:
        ValueError: if nothing of the person's surface is seen in the picture.
    """
    extractor = TextureExtractor(tile, flatten)
    extractor.add(picture, person)
    return fill_atlas(extractor.extract(), symmetric=True)


def transfer_texture(
    source: np.ndarray,
    person: Person,
    target: np.ndarray,
    people: Sequence[Person],
    shading: float = 1.0,
) -> np.ndarray:
    """Dresses the people of one picture in what a person of another one looks like.

    Args:
        source: (H, W, 3) uint8 BGR, the picture with `person`.
        target: (H', W', 3) uint8 BGR, the picture with `people`.
        shading: how much of the light on `people` is kept, 0 to 1.

    Returns:
        The target, painted.

    Raises:
        ValueError: as `atlas_of` and `apply_texture` do.
    """
    return apply_texture(target, people, atlas_of(source, person), shading)
