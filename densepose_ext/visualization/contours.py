"""Lines of constant U and V on people's bodies, as in the figures of Güler et al. (CVPR 2018).

A line's coverage of a pixel is read off the field around it: the distance to the line is that of
the value to the line's, divided by the slope. That needs no tracing of curves, all lines of a
person come at once, and they are antialiased.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Person
from .colormaps import colormap
from .compose import check_alpha, check_picture, from_below, inside

#: Lines are drawn at 1/10, 2/10, ... 9/10: the ends of a chart are seen anyway.
INTERVALS = 10
#: Width of a line in pixels.
WIDTH = 1.5
#: Share of black under the lines, so that they stand out from any clothes.
SHADE = 0.35
#: Lines fade where they come closer than this, and are gone at half of it, in pixels. Every
#: second one goes at twice the distance: a small body has a coarser grid.
CLOSEST = 4.0
#: Intervals a pixel below which a slope is noise or rounding.
FLATTEST = 0.012


def draw_contours(
    picture: np.ndarray, people: Sequence[Person], alpha: float = 1.0, colours: str = "parula"
) -> np.ndarray:
    """Lines of constant U and V, in the colour of their value, on bodies a little darkened.

    Args:
        picture: BGR (H, W, 3) uint8.
        people: in any order.
        alpha: share of lines and of darkening; 0 gives the picture back.
        colours: name of a colour map.

    Returns:
        a new picture; pixels of nobody stay as they are.
    """
    check_picture(picture)
    check_alpha(alpha)
    table = colormap(colours)[:, ::-1].astype(np.float32)
    drawn = picture.copy()
    free = np.ones(picture.shape[:2], np.uint8)
    for n in reversed(from_below(people)):
        person, found = people[n], inside(people[n], picture.shape[:2])
        if found is None:
            continue
        labels = person.result.labels.numpy()[found.of_labels]
        mine = (labels * free[found.of_picture]).astype(np.uint8)
        free[found.of_picture][labels > 0] = 0
        window = drawn[found.of_picture]
        darker = cv2.convertScaleAbs(window, alpha=1 - SHADE * alpha)
        cv2.copyTo(darker, mine, window)
        body = _Body(labels, person.result.uv.numpy()[(slice(None), *found.of_labels)], mine)
        for coverage, values in zip(body.lines(), body.values):
            on = np.flatnonzero(coverage)
            place = body.rows[on], body.columns[on]
            colour = table[np.clip(values[on] * (255 / INTERVALS), 0, 255).astype(np.uint8)]
            below = window[place]
            window[place] = np.rint(below + alpha * coverage[on, None] * (colour - below))
    return drawn


class _Body:
    """Those of a person's pixels that are to be drawn, one after the other.

    Attributes:
        rows, columns: (P,) int64.
        values: (2, P) float32, U and V in intervals between lines.
    """

    def __init__(self, labels: np.ndarray, uv: np.ndarray, drawn: np.ndarray):
        height, width = labels.shape
        # With a border around, neighbours are at fixed distances in memory.
        step = width + 2
        parts = np.zeros((height + 2, step), np.uint8)
        field = np.zeros((2, height + 2, step), np.float32)
        parts[1:-1, 1:-1] = drawn
        at = np.flatnonzero(parts)
        parts[1:-1, 1:-1] = labels
        field[:, 1:-1, 1:-1] = uv
        parts, field = parts.ravel(), field.reshape(2, -1)
        self.rows, self.columns = at // step - 1, at % step - 1
        self.values = field[:, at] * np.float32(INTERVALS)
        own = parts[at]
        self._slopes = [self._slope(parts, field, at, own, shift) for shift in (1, step)]

    def _slope(self, parts, field, at, own, shift: int) -> np.ndarray:
        """Intervals a pixel (2, P) along an axis, from the neighbours in the same chart."""
        slope = np.zeros_like(self.values)
        count = np.zeros(len(at), np.float32)
        for sign in (-1, 1):
            there = at + sign * shift
            same = (parts[there] == own).astype(np.float32)
            slope += (field[:, there] * np.float32(INTERVALS) - self.values) * (sign * same)
            count += same
        return slope / np.maximum(count, 1)

    def lines(self) -> np.ndarray:
        """Coverage (2, P) float32, 0 to 1, by lines at the whole numbers 1 to INTERVALS - 1."""
        slope = np.maximum(np.hypot(*self._slopes), FLATTEST)
        nearest = np.clip(np.rint(self.values), 1, INTERVALS - 1)
        coverage = np.clip(WIDTH / 2 + 0.5 - np.abs(self.values - nearest) / slope, 0, 1)
        slope *= 1 + nearest % 2
        coverage *= np.clip(2 - CLOSEST * slope, 0, 1)
        return coverage
