"""Painting an atlas onto the people in a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Person
from .atlas import Atlas, positions
from .shading import shading_of
from .window import window_of


def apply_texture(
    picture: np.ndarray,
    people: Sequence[Person],
    atlas: Atlas,
    shading: float = 0.0,
    opacity: float = 1.0,
) -> np.ndarray:
    """Dresses people in an atlas.

    Args:
        picture: (H, W, 3) uint8 BGR.
        people: those to be painted; who has the higher score is painted over others.
        atlas: the colours, of any size of tiles; interpolated bilinearly, never across tiles.
        shading: how much of the light on the people is kept, from 0 (the atlas as it is) to 1.
        opacity: of the paint, from 0 to 1.

    Returns:
        A picture like the given one, which is not changed.

    Raises:
        ValueError: for a picture of another shape or type, or numbers outside 0 to 1.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(
            f"a picture of shape {picture.shape}, {picture.dtype}; expected (H, W, 3) uint8 BGR"
        )
    for name, value in (("shading", shading), ("opacity", opacity)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; expected 0 to 1")
    painted = picture.copy()
    for person in sorted(people, key=lambda person: person.score):
        window = window_of(person, picture.shape[:2])
        if window is not None:
            place, labels, u, v = window
            original = picture[place] if shading else None
            _paint(painted[place], original, labels, u, v, atlas, shading, opacity)
    return painted


def _paint(target, original, labels, u, v, atlas: Atlas, shading: float, opacity: float) -> None:
    """Paints one person into `target` (h, w, 3), in place."""
    x, y = positions(labels, u, v, atlas.tile)
    colours = cv2.remap(atlas.premultiplied, x, y, cv2.INTER_LINEAR)
    if shading:
        colours = _lit(colours, shading_of(original, labels) ** np.float32(shading))
    person = (labels > 0).view(np.uint8)
    if atlas.alpha is None and opacity == 1:
        cv2.copyTo(colours, person, target)
        return
    paint = person * np.float32(opacity)
    cover = paint
    if atlas.alpha is not None:
        cover = paint * (cv2.remap(atlas.alpha, x, y, cv2.INTER_LINEAR) * np.float32(1 / 255))
    # the colours are already multiplied by the atlas's alpha
    mixed = colours * paint[..., None] + target * (1 - cover)[..., None]
    target[:] = np.minimum(mixed + np.float32(0.5), 255).astype(np.uint8)


def _lit(colours: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) uint8 times light (h, w); what would burn out nears white instead."""
    light = cv2.merge([light] * 3)
    bounded = 255 - (255 - colours) / np.maximum(light, 1)
    return np.minimum(colours * light, bounded).astype(np.uint8)
