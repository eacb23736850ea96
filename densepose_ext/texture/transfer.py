"""Texture transfer from one person to others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..structures import Person
from .apply import apply_texture
from .atlas import TILE, Atlas
from .extract import TextureExtractor
from .fill import fill_atlas


def atlas_of(picture: np.ndarray, person: Person, tile: int = TILE, flatten: bool = True) -> Atlas:
    """The complete atlas of a person in one picture (H, W, 3) uint8 BGR; unseen texels are filled.

    Args:
        tile: side of the atlas's tiles.
        flatten: remove the light that falls on the person.

    Raises:
        ValueError: nothing of the person's surface is in the picture.
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
    """Paints the people of one picture with the texture of a person in another.

    Args:
        source: (H, W, 3) uint8 BGR, the picture of ``person``.
        target: (H', W', 3) uint8 BGR, the picture of ``people``.
        shading: share of the light on ``people`` that is kept, 0 to 1.

    Returns:
        a painted copy of the target.

    Raises:
        ValueError: see ``atlas_of`` and ``apply_texture``.
    """
    return apply_texture(target, people, atlas_of(source, person), shading)
