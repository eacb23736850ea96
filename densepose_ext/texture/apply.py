"""Painting an atlas onto the people in a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Person
from ..visualization.compose import check_picture, from_below, overlap_of
from .atlas import Atlas, positions
from .shading import shading_of


def apply_texture(
    picture: np.ndarray,
    people: Sequence[Person],
    atlas: Atlas,
    shading: float = 0.0,
    opacity: float = 1.0,
) -> np.ndarray:
    """Paints an atlas onto people.

    Args:
        picture: (H, W, 3) uint8 BGR.
        people: who is painted; where people overlap, the one with the higher score is on top.
        atlas: the colours; interpolated bilinearly, never across tiles.
        shading: share of the light on the people that is kept, 0 (the plain atlas) to 1.
        opacity: of the paint, 0 to 1.

    Returns:
        a new picture.

    Raises:
        ValueError: the picture has another shape or type, or a number is outside [0, 1].
    """
    check_picture(picture)
    for name, value in (("shading", shading), ("opacity", opacity)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; expected 0 to 1")
    painted = picture.copy()
    for n in from_below(people):
        where = overlap_of(people[n], picture.shape[:2])
        if where is None:
            continue
        labels = people[n].result.labels.numpy()[where.of_labels]
        u, v = (values[where.of_labels] for values in people[n].result.chart_uv.numpy())
        x, y = positions(labels, u, v, atlas.tile)
        colours = cv2.remap(atlas.premultiplied, x, y, cv2.INTER_LINEAR)
        if shading:
            light = shading_of(picture[where.of_picture], labels)
            colours = _lit(colours, light if shading == 1 else light ** np.float32(shading))
        person = (labels > 0).view(np.uint8)
        target = painted[where.of_picture]
        if atlas.alpha is None and opacity == 1:
            cv2.copyTo(colours, person, target)
        else:
            _blend(target, colours, person * np.float32(opacity), _alpha(atlas, x, y))
    return painted


def _lit(colours: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) uint8 times light (h, w), with overexposure compressed towards white."""
    lit = cv2.multiply(colours, cv2.merge([light] * 3), dtype=cv2.CV_8U)
    from_white = cv2.merge([1 / np.maximum(light, 1)] * 3)
    dark = cv2.multiply(cv2.bitwise_not(colours), from_white, dtype=cv2.CV_8U)
    return cv2.min(lit, cv2.bitwise_not(dark))


def _alpha(atlas: Atlas, x: np.ndarray, y: np.ndarray) -> np.ndarray | np.float32:
    """Alpha of the atlas at the given positions, 0 to 1."""
    if atlas.alpha is None:
        return np.float32(1)
    return cv2.remap(atlas.alpha, x, y, cv2.INTER_LINEAR) * np.float32(1 / 255)


def _blend(
    target: np.ndarray,
    colours: np.ndarray,
    paint: np.ndarray,
    alpha: np.ndarray | np.float32,
) -> None:
    """Composites premultiplied colours with opacity ``paint`` (h, w) over the target, in place."""
    mixed = cv2.multiply(colours, cv2.merge([paint] * 3), dtype=cv2.CV_32F)
    rest = cv2.multiply(target, cv2.merge([1 - paint * alpha] * 3), dtype=cv2.CV_32F)
    cv2.add(mixed, rest, target, dtype=cv2.CV_8U)
