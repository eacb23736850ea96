"""Lines of constant U and V on people's bodies, as in the figures of Güler et al. (CVPR 2018).

A pixel's distance to a line is the difference of their values divided by the local slope. This
needs no tracing of curves, gives all lines of a person at once, and antialiases them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ..structures import Person
from .colormaps import colormap
from .compose import check_alpha, check_picture, extent, stacked

#: Lines are drawn at 1/10, 2/10, ... 9/10; the ends of a chart are visible without.
INTERVALS = 10
#: Width of a line in pixels.
WIDTH = 1.5
#: Darkening under the lines, so that they stand out from any clothes.
SHADE = 0.35
#: Lines that are closer than this fade, and vanish at half of it, in pixels. Every other line does
#: so at twice the distance: small bodies get a coarser grid.
CLOSEST = 4.0
#: Slopes below this are noise or rounding, intervals per pixel.
FLATTEST = 0.012


def draw_contours(
    picture: np.ndarray, people: Sequence[Person], alpha: float = 1.0, colours: str = "parula"
) -> np.ndarray:
    """Draws lines of constant U and V, coloured by value, over slightly darkened bodies.

    Args:
        picture: BGR (H, W, 3) uint8.
        people: in any order.
        alpha: opacity of lines and darkening; 0 leaves the picture as it is.
        colours: name of a colour map.

    Returns:
        a new picture; the background is unchanged.
    """
    check_picture(picture)
    check_alpha(alpha)
    table = colormap(colours)[:, ::-1].astype(np.float32)
    drawn = picture.copy()
    around = extent(people, picture.shape[:2])
    if around is None:
        return drawn
    body = _Body.of(people, picture.shape[:2], around)
    window = drawn[around]
    cv2.copyTo(cv2.convertScaleAbs(window, alpha=1 - SHADE * alpha), body.on, window)
    for values, coverage in body.lines():
        on = np.flatnonzero(coverage)
        place = body.places(on)
        colour = table[np.clip(values[on] * (255 / INTERVALS), 0, 255).astype(np.uint8)]
        below = window[place]
        window[place] = np.rint(below + alpha * coverage[on, None] * (colour - below))
    return drawn


class _Body:
    """The P pixels of all people, as flat arrays.

    Attributes:
        on: (h, w) uint8, not 0 on people.
    """

    def __init__(self, charts: np.ndarray, fields: np.ndarray):
        """
        Args:
            charts: (h + 2, w + 2) uint16, a distinct number for each chart of each person, 0 on
                the background and the border.
            fields: (2, h + 2, w + 2) float32, U and V.
        """
        self.on = (charts[1:-1, 1:-1] > 0).astype(np.uint8)
        # With the border, neighbours are at fixed offsets in memory.
        self._step = charts.shape[1]
        self._at = np.flatnonzero(charts)
        self._fields = (fields * np.float32(INTERVALS)).reshape(2, -1)
        charts = charts.ravel()
        own = charts.take(self._at)
        #: A neighbour's offset in memory, and (P,) float32: 1 where it has the same chart.
        self._same = {
            shift: (charts.take(self._at + shift) == own).astype(np.float32)
            for shift in (-1, 1, -self._step, self._step)
        }

    @classmethod
    def of(
        cls, people: Sequence[Person], size: tuple[int, int], around: tuple[slice, slice]
    ) -> _Body:
        """The people in the rows and columns ``around`` of a picture of (H, W)."""
        height, width = (part.stop - part.start for part in around)
        charts = np.zeros((height + 2, width + 2), np.uint16)
        fields = np.zeros((2, height + 2, width + 2), np.float32)
        for n, found, labels in stacked(people, size):
            rows, columns = (
                slice(own.start - all_of.start + 1, own.stop - all_of.start + 1)
                for own, all_of in zip(found.of_picture, around)
            )
            labels = labels[found.of_labels]
            # only neighbours are compared, so numbers may repeat after 2000 people
            chart = labels.astype(np.uint16) + np.uint16(n % 2000 * 32)
            cv2.copyTo(chart, labels, charts[rows, columns])
            for field, values in zip(fields, people[n].result.chart_uv.numpy()):
                cv2.copyTo(values[found.of_labels], labels, field[rows, columns])
        return cls(charts, fields)

    def places(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixels."""
        rows, columns = np.divmod(self._at[pixels], self._step)
        return rows - 1, columns - 1

    def lines(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields, for U and V, values in intervals and coverage by lines, 0 to 1, (P,) float32.

        Lines are at the whole numbers from 1 to INTERVALS - 1.
        """
        for field in self._fields:
            values = field.take(self._at)
            across = self._slope(field, values, 1)
            along = self._slope(field, values, self._step)
            slope = np.maximum(np.sqrt(across * across + along * along), FLATTEST)
            nearest = np.clip(np.rint(values), 1, INTERVALS - 1)
            coverage = np.clip(WIDTH / 2 + 0.5 - np.abs(values - nearest) / slope, 0, 1)
            half = nearest / 2
            slope *= 1 + 2 * (half - np.floor(half))  # twice as steep at odd lines
            coverage *= np.clip(2 - CLOSEST * slope, 0, 1)
            yield values, coverage

    def _slope(self, field: np.ndarray, values: np.ndarray, shift: int) -> np.ndarray:
        """Slope (P,) along an axis, intervals per pixel: mean over neighbours of the same chart."""
        before, after = self._same[-shift], self._same[shift]
        rise = (field.take(self._at + shift) - values) * after
        rise += (values - field.take(self._at - shift)) * before
        rise /= np.maximum(before + after, 1)
        return rise
