"""Painting an atlas onto the people in a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Person
from ..visualization.compose import check_picture, from_below, inside
from .atlas import Atlas, positions
from .shading import shading_of


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
    check_picture(picture)
    for name, value in (("shading", shading), ("opacity", opacity)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; expected 0 to 1")
    painted = picture.copy()
    for n in from_below(people):
        where = inside(people[n], picture.shape[:2])
        if where is None:
            continue
        labels = people[n].result.labels.numpy()[where.of_labels]
        u, v = (values[where.of_labels] for values in people[n].result.uv.numpy())
        x, y = positions(labels, u, v, atlas.tile)
        colours = cv2.remap(atlas.premultiplied, x, y, cv2.INTER_LINEAR)
        if shading:
            light = shading_of(picture[where.of_picture], labels)
            colours = _lit(colours, light ** np.float32(shading))
        person = (labels > 0).view(np.uint8)
        target = painted[where.of_picture]
        if atlas.alpha is None and opacity == 1:
            cv2.copyTo(colours, person, target)
        else:
            _blend(target, colours, person * np.float32(opacity), _alpha(atlas, x, y))
    return painted


def _lit(colours: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) uint8 times light (h, w); what would burn out nears white instead."""
    light = cv2.merge([light] * 3)
    bounded = 255 - (255 - colours) / np.maximum(light, 1)
    return np.minimum(colours * light, bounded).astype(np.uint8)


def _alpha(atlas: Atlas, x: np.ndarray, y: np.ndarray) -> np.ndarray | np.float32:
    """Alpha of the atlas at the given places, 0 to 1."""
    if atlas.alpha is None:
        return np.float32(1)
    return cv2.remap(atlas.alpha, x, y, cv2.INTER_LINEAR) * np.float32(1 / 255)


def _blend(target: np.ndarray, colours: np.ndarray, paint: np.ndarray, alpha) -> None:
    """Lays colours, already multiplied by alpha, with opacity `paint` (h, w) over the target."""
    cover = paint * alpha
    mixed = colours * paint[..., None] + target * (1 - cover)[..., None]
    target[:] = np.minimum(mixed + np.float32(0.5), 255).astype(np.uint8)
