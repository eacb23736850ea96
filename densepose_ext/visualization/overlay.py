"""Draws parts, U, V and masks of people over a picture.

All functions take a BGR picture (H, W, 3) uint8 and people in any order, and return a new picture.
The background is unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Person
from ..surface.parts import NUM_FINE_PARTS
from .colormaps import colormap
from .compose import (
    check_alpha,
    check_picture,
    compose_iuv,
    compose_labels,
    extent,
    from_below,
    overlap_of,
)
from .palette import part_colours, person_colour


def draw_parts(
    picture: np.ndarray, people: Sequence[Person], alpha: float = 0.7, palette: str = "default"
) -> np.ndarray:
    """Draws the fine parts in colour.

    Args:
        alpha: opacity, 0 to 1.
        palette: a name that ``part_colours`` knows.
    """
    table = np.zeros((256, 3), np.uint8)
    table[: NUM_FINE_PARTS + 1] = part_colours(palette)
    check_picture(picture)
    labels = compose_labels(people, picture.shape[:2])
    return _painted(picture, people, labels, labels, table, alpha)


def draw_u(
    picture: np.ndarray, people: Sequence[Person], alpha: float = 0.7, colours: str = "viridis"
) -> np.ndarray:
    """Draws U in colour.

    Args:
        alpha: opacity, 0 to 1.
        colours: name of a colour map.
    """
    return _draw_coordinate(picture, people, 1, alpha, colours)


def draw_v(
    picture: np.ndarray, people: Sequence[Person], alpha: float = 0.7, colours: str = "viridis"
) -> np.ndarray:
    """Draws V in colour; see ``draw_u``."""
    return _draw_coordinate(picture, people, 2, alpha, colours)


#: Drawings by name; all take a picture, people, alpha and the name of the colours.
PAINTERS = {"parts": draw_parts, "u": draw_u, "v": draw_v}


def _draw_coordinate(
    picture: np.ndarray, people: Sequence[Person], channel: int, alpha: float, colours: str
) -> np.ndarray:
    table = colormap(colours)
    check_picture(picture)
    iuv, _ = compose_iuv(people, picture.shape[:2])
    return _painted(picture, people, iuv[..., channel], iuv[..., 0], table, alpha)


def _painted(
    picture: np.ndarray,
    people: Sequence[Person],
    values: np.ndarray,
    on: np.ndarray,
    table: np.ndarray,
    alpha: float,
) -> np.ndarray:
    """The picture with colours ``table[values]`` (RGB) where ``on`` (H, W) is not 0."""
    check_alpha(alpha)
    painted = picture.copy()
    window = extent(people, picture.shape[:2])
    if window is None:
        return painted
    table = np.ascontiguousarray(table[:, None, ::-1])
    colour = cv2.applyColorMap(np.ascontiguousarray(values[window]), table)
    if alpha < 1:
        colour = cv2.addWeighted(painted[window], 1 - alpha, colour, alpha, 0)
    cv2.copyTo(colour, np.ascontiguousarray(on[window]), painted[window])
    return painted


def draw_masks(
    picture: np.ndarray,
    people: Sequence[Person],
    alpha: float = 0.5,
    identities: Sequence[int] | None = None,
) -> np.ndarray:
    """Draws each person's mask in a colour: the mask head's, or else where the person has a part.

    Args:
        alpha: opacity, 0 to 1.
        identities: of tracked people; they set the colours. Default: the order of the people.
    """
    check_picture(picture)
    check_alpha(alpha)
    identities = range(len(people)) if identities is None else identities
    drawn = picture.copy()
    # topmost first: the others get what is left
    free = np.full(picture.shape[:2], 255, np.uint8)
    for n in reversed(from_below(people)):
        window, mask = _mask(people[n], picture.shape[:2])
        if window is None:
            continue
        own = cv2.bitwise_and(mask, free[window])
        colour = np.full((*own.shape, 3), person_colour(identities[n])[::-1], np.uint8)
        blend = cv2.addWeighted(drawn[window], 1 - alpha, colour, alpha, 0)
        cv2.copyTo(blend, own, drawn[window])
        free[window][own > 0] = 0
    return drawn


def _mask(
    person: Person, size: tuple[int, int]
) -> tuple[tuple[slice, slice] | None, np.ndarray | None]:
    """Rows and columns of a picture, or None, and the person's mask there, uint8 0 or 255."""
    if person.mask is not None:
        if person.mask.shape != size:
            raise ValueError(f"a mask of shape {person.mask.shape}; expected the picture's, {size}")
        x, y, width, height = cv2.boundingRect(person.mask.astype(np.uint8))
        window = (slice(y, y + height), slice(x, x + width)) if width else None
        mask = person.mask[window] if width else None
    else:
        found = overlap_of(person, size)
        window = None if found is None else found.of_picture
        mask = None if found is None else person.result.labels.numpy()[found.of_labels] > 0
    return window, None if mask is None else mask.astype(np.uint8) * 255
