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
    table = np.ascontiguousarray(colormap(colours)[:, None, ::-1])
    drawn = picture.copy()
    free = np.ones(picture.shape[:2], bool)
    for n in reversed(from_below(people)):
        person, found = people[n], inside(people[n], picture.shape[:2])
        if found is None:
            continue
        labels = person.result.labels.numpy()[found.of_labels]
        mine = free[found.of_picture] & (labels > 0)
        free[found.of_picture] &= ~mine
        grid = _Grid(labels)
        window = drawn[found.of_picture]
        layer = cv2.convertScaleAbs(window, alpha=1 - SHADE * alpha)
        for values in person.result.uv.numpy()[(slice(None), *found.of_labels)]:
            coverage = grid.lines(values * INTERVALS)
            value = cv2.convertScaleAbs(values, alpha=255)
            coverage *= alpha
            layer = cv2.blendLinear(layer, cv2.applyColorMap(value, table), 1 - coverage, coverage)
        cv2.copyTo(layer, mine.astype(np.uint8), window)
    return drawn


class _Grid:
    """The pixels of a person, and which neighbours lie in one chart."""

    def __init__(self, labels: np.ndarray):
        self._right = (labels[:, 1:] == labels[:, :-1]).astype(np.float32)
        self._down = (labels[1:] == labels[:-1]).astype(np.float32)
        across, along = np.zeros((2, *labels.shape), np.float32)
        across[:, 1:], along[1:] = self._right, self._down
        across[:, :-1] += self._right
        along[:-1] += self._down
        # A pixel with neighbours of its chart on both sides has the mean of two differences.
        self._per_neighbour = [1 / np.maximum(count, 1) for count in (across, along)]

    def lines(self, values: np.ndarray) -> np.ndarray:
        """Coverage (h, w) float32, 0 to 1, by lines at the whole numbers 1 to INTERVALS - 1.

        Args:
            values: (h, w) float32; may jump from chart to chart.
        """
        x, y = np.zeros((2, *values.shape), np.float32)
        difference = (values[:, 1:] - values[:, :-1]) * self._right
        x[:, 1:] = difference
        x[:, :-1] += difference
        difference = (values[1:] - values[:-1]) * self._down
        y[1:] = difference
        y[:-1] += difference
        x *= self._per_neighbour[0]
        y *= self._per_neighbour[1]
        slope = np.maximum(cv2.magnitude(x, y), FLATTEST)
        nearest = np.clip(np.rint(values), 1, INTERVALS - 1)
        coverage = np.clip(WIDTH / 2 + 0.5 - np.abs(values - nearest) / slope, 0, 1)
        slope *= 1 + nearest % 2
        coverage *= np.clip(2 - CLOSEST * slope, 0, 1)
        return coverage
