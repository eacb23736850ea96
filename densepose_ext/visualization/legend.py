"""A legend of the colours: the open body from the front and the back, with names."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch

from ..structures import DensePoseResult, Person
from ..surface.parts import FINE_PART_NAMES
from ..surface.rest_pose_views import rest_pose_views
from ..surface.surface import BodySurface
from .colormaps import colormap
from .overlay import PAINTERS
from .palette import part_colours
from .sheet import INK, PAPER
from .text import line_height, text_mask, write_text

#: Supersampling factor of the body.
OVERSAMPLING = 3
#: Aspect ratio of a view of the body, and the margin around it.
ASPECT, RIM = 0.8, 0.03
#: Colour of the lines between names and parts.
_LEADER = (130, 130, 130)


@lru_cache(maxsize=4)
def template_people(height: int) -> tuple[list[Person], tuple[int, int], np.ndarray]:
    """The open body in its rest pose, from the front and, beside it, from the back.

    Args:
        height: of the picture, pixels.

    Returns:
        both views as people, the (H, W) of the picture, and their shading (H, W) float32, 0 to 1.
    """
    surface = BodySurface.load()
    width = round(ASPECT * height)
    scale = height * (1 - 2 * RIM) / np.ptp(surface.body.vertices[:, 2])
    people, light = [], np.zeros((height, 2 * width), np.float32)
    for view, (seen, facing) in enumerate(rest_pose_views((height, width), scale)):
        hit = seen.hit
        i, u, v = surface.iuv(seen.face[hit], seen.barycentric[hit])
        labels = torch.zeros(hit.shape, dtype=torch.uint8)
        uv = torch.zeros(2, *hit.shape)
        labels[torch.from_numpy(hit)] = torch.from_numpy(np.asarray(i, np.uint8))
        uv[:, torch.from_numpy(hit)] = torch.from_numpy(np.stack([u, v]).astype(np.float32))
        x = view * width
        box = np.array([x, 0, x + width, height], np.float32)
        people.append(Person(box, 1.0, DensePoseResult(labels, uv)))
        light[:, x : x + width][hit] = facing
    return people, (height, 2 * width), light


def draw_legend(height: int = 480, quantity: str = "parts", colours: str = "default") -> np.ndarray:
    """Draws the body in the colours of a quantity: parts with names, or U or V with a scale.

    Args:
        height: in pixels, at least 160.
        quantity: "parts", "u" or "v".
        colours: name of a palette for parts, of a colour map for U and V; "default" is that of
            ``draw_parts`` and ``draw_u``.

    Returns:
        BGR uint8 (height, W, 3), on white.
    """
    if height < 160:
        raise ValueError(f"a legend of height {height}; expected at least 160 pixels")
    if quantity not in PAINTERS:
        raise ValueError(f"quantity {quantity!r}; expected one of {', '.join(PAINTERS)}")
    if quantity == "parts":
        return _with_names(_body(height, quantity, colours), height, colours)
    colours = "viridis" if colours == "default" else colours
    return _with_scale(_body(height, quantity, colours), quantity, colours)


def _body(height: int, quantity: str, colours: str) -> np.ndarray:
    """Both views (height, W, 3) on white, softly shaded."""
    people, size, light = template_people(height * OVERSAMPLING)
    picture = PAINTERS[quantity](np.full((*size, 3), PAPER, np.uint8), people, 1.0, colours)
    on = light > 0
    # surfaces that face the camera keep their colour
    picture[on] = np.rint(picture[on] * (0.72 + 0.28 * light[on, None]))
    return cv2.resize(picture, (size[1] // OVERSAMPLING, height), interpolation=cv2.INTER_AREA)


def _with_scale(body: np.ndarray, quantity: str, colours: str) -> np.ndarray:
    height = len(body)
    text = max(11, height // 34)
    picture = np.full((height, height // 4, 3), PAPER, np.uint8)
    top, bottom, wide = height // 6, height - height // 6, max(height // 30, 8)
    ramp = np.linspace(255, 0, bottom - top).round().astype(int)
    picture[top:bottom, :wide] = colormap(colours)[ramp][:, None, ::-1]
    for value in (0, 0.25, 0.5, 0.75, 1):
        y = round(bottom - 1 - value * (bottom - top - 1))
        cv2.line(picture, (wide, y), (wide + 4, y), INK, 1)
        write_text(picture, f"{value:g}", (wide + 8, y - line_height(text) // 2), text, INK)
    write_text(picture, quantity.upper(), (0, top - 2 * text), text + 2, INK)
    return np.concatenate([body, picture], 1)


def _with_names(body: np.ndarray, height: int, palette: str) -> np.ndarray:
    people, _, _ = template_people(height * OVERSAMPLING)
    text = max(9, height // 38)
    width = body.shape[1] // 2
    names = max(text_mask(name, text).shape[1] for name in FINE_PART_NAMES) + 3 * text
    picture = np.full((height, 2 * (width + 2 * names), 3), PAPER, np.uint8)
    parts = np.arange(len(FINE_PART_NAMES))
    labels = (person.result.labels.numpy().ravel() for person in people)
    areas = np.stack([np.bincount(own, minlength=len(parts)) for own in labels])
    # a part is named wherever it is well visible, perhaps in both views
    named = (areas > 0.75 * areas.max(0)) & (parts > 0)
    for view, person in enumerate(people):
        x = names + view * (width + 2 * names)
        picture[:, x : x + width] = body[:, view * width : (view + 1) * width]
        labels = person.result.labels.numpy()[::OVERSAMPLING, ::OVERSAMPLING]
        _name_parts(picture, labels, np.flatnonzero(named[view]), x, text, palette)
        title = ("front", "back")[view]
        at = x + (width - text_mask(title, text).shape[1]) // 2, height - line_height(text)
        write_text(picture, title, at, text, INK)
    return picture


def _name_parts(
    picture: np.ndarray,
    labels: np.ndarray,
    parts: np.ndarray,
    x: int,
    text: int,
    palette: str,
) -> None:
    """Writes names at both sides of a view that starts at column ``x``, with lines to the parts."""
    height, width = labels.shape
    table = part_colours(palette)
    places = {part: _middle(labels == part) for part in parts.tolist()}
    sides: tuple[list[int], list[int]] = ([], [])
    for part in sorted(places, key=lambda p: abs(places[p][0] - width / 2), reverse=True):
        column = places[part][0]
        # parts in the middle go to the side with fewer names
        central = abs(column - width / 2) < 0.02 * width
        sides[len(sides[1]) < len(sides[0]) if central else column > width / 2].append(part)
    step = round(1.25 * line_height(text))
    for side, names in enumerate(sides):
        names.sort(key=lambda part: places[part][1])
        rows = _spread([places[part][1] for part in names], step, height - 2 * step)
        for part, row in zip(names, rows):
            colour = tuple(table[part, ::-1].tolist())
            name = FINE_PART_NAMES[part]
            edge = x + width + text // 2 if side else x - text // 2
            swatch = edge - (0 if side else text), row - text // 2
            cv2.rectangle(picture, swatch, (swatch[0] + text, swatch[1] + text), colour, -1)
            start = (
                (edge + 3 * text // 2)
                if side
                else edge - 3 * text // 2 - text_mask(name, text).shape[1]
            )
            write_text(picture, name, (start, row - line_height(text) // 2), text, INK)
            spot = x + places[part][0], places[part][1]
            near = edge - 3 if side else edge + 3
            cv2.line(picture, (near, row), spot, _LEADER, 1, cv2.LINE_AA)
            cv2.circle(picture, spot, 2 + height // 480, INK, -1, cv2.LINE_AA)


def _middle(mask: np.ndarray) -> tuple[int, int]:
    """Column and row of the mask pixel farthest from the mask's border."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)
    row, column = np.unravel_index(distance.argmax(), distance.shape)
    return int(column) - 1, int(row) - 1


def _spread(rows: list[int], step: int, limit: int) -> list[int]:
    """Rows near the given (ascending) ones, at least ``step`` apart and at most ``limit``."""
    spread = []
    for row in rows:
        spread.append(max(row, spread[-1] + step) if spread else max(row, step))
    for k in reversed(range(len(spread))):
        spread[k] = min(spread[k], limit - (len(spread) - 1 - k) * step)
    return spread
