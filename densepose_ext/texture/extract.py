"""Extracting an atlas from people in pictures.

Four neighbouring pixels of one part span a quadrilateral in the atlas. Rasterising all of them
gives the position in the picture of each texel. A texel's weight is the number of pixels that it
covers: high where the surface is near and faces the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..structures import Person
from ..surface.parts import NUM_FINE_PARTS
from ..surface.surface import BodySurface
from ..visualization.compose import check_picture, overlap_of
from .atlas import (
    COLUMNS,
    LARGEST,
    ROWS,
    SMALLEST,
    TILE,
    Atlas,
    charts_in_atlas,
    draw_triangles,
    positions,
)
from .shading import shading_of

#: Number of best views kept for each texel.
VIEWS = 8
#: A quadrilateral this many times longer than the part's median spans a fold or an error.
LONGEST = 6.0
#: Most pixels of a person in a view, which is reduced to them: the atlas has no more texels, and
#: each pixel takes a kilobyte while it is rasterised.
MOST_PIXELS = 1_000_000
#: Widths, as shares of the person's size (square root of the area), of the outline, whose pixels
#: mix with background, and of the band where they may, as labels are inexact.
MARGIN, BAND = 0.012, 0.06
#: Factor for weights at the outline.
OUTLINE = 0.002
#: Distance from the median, in grey levels, at which a view's weight is halved.
AGREEMENT = 12.0


@dataclass(frozen=True)
class Extraction:
    """An atlas of what was seen.

    Attributes:
        picture: (6T, 4T, 3) uint8 BGR, 0 where nothing was seen.
        weight: (6T, 4T) float32, the coverage map: pixels of the texel in all views together, with
            less weight at outlines; 0 where it was not seen.
    """

    picture: np.ndarray
    weight: np.ndarray

    @property
    def share(self) -> float:
        """Share of the open body's area that was seen."""
        charts = charts_in_atlas(len(self.weight) // ROWS)
        body = BodySurface.load().body
        a, b, c = (body.vertices[body.faces[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        face = charts.face[charts.hit]
        texels = np.bincount(face, minlength=len(area))
        seen = np.bincount(face, self.weight[charts.hit] > 0, len(area))
        drawn = texels > 0
        return float((area[drawn] * seen[drawn] / texels[drawn]).sum() / area[drawn].sum())

    @property
    def atlas(self) -> Atlas:
        """The atlas, transparent where nothing was seen."""
        return Atlas(self.picture, np.where(self.weight > 0, 255, 0).astype(np.uint8))


class TextureExtractor:
    """Collects one person's texture from any number of pictures, in bounded memory."""

    def __init__(self, tile: int = TILE, flatten: bool = False):
        """
        Args:
            tile: side of the atlas's tiles.
            flatten: remove the light that ``shading_of`` estimates.

        Raises:
            ValueError: the tile size is out of range.
        """
        if not SMALLEST <= tile <= LARGEST:
            raise ValueError(f"tile is {tile}; expected {SMALLEST} to {LARGEST}")
        self.tile, self.flatten = tile, flatten
        self._colours: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []

    def add(self, picture: np.ndarray, person: Person) -> None:
        """Adds one view: a person in a picture (H, W, 3) uint8 BGR.

        Raises:
            ValueError: the picture has another shape or type.
        """
        check_picture(picture)
        where = overlap_of(person, picture.shape[:2])
        if where is None:
            return
        labels = person.result.labels.numpy()[where.of_labels]
        u, v = (values[where.of_labels] for values in person.result.chart_uv.numpy())
        seen = picture[where.of_picture]
        step = max(round((np.count_nonzero(labels) / MOST_PIXELS) ** 0.5), 1)
        if step > 1:
            every = slice(step // 2, None, step), slice(step // 2, None, step)
            seen = np.ascontiguousarray(cv2.blur(seen, (step, step))[every])
            labels, u, v = (np.ascontiguousarray(values[every]) for values in (labels, u, v))
        if self.flatten:
            seen = np.clip(seen / shading_of(seen, labels)[..., None] + 0.5, 0, 255)
            seen = seen.astype(np.uint8)
        view = _view(seen, labels, u, v, self.tile)
        if view is None:
            return
        colour, weight = view
        weight *= step**2
        if len(self._colours) < VIEWS:
            self._colours.append(colour)
            self._weights.append(weight)
            return
        # replaces the worst of the kept views where it is better
        worst = np.argmin(self._weights, axis=0)
        for n in range(VIEWS):
            better = (worst == n) & (weight > self._weights[n])
            self._colours[n][better], self._weights[n][better] = colour[better], weight[better]

    def extract(self) -> Extraction:
        """The atlas of all added views."""
        size = ROWS * self.tile, COLUMNS * self.tile
        if not self._colours:
            return Extraction(np.zeros((*size, 3), np.uint8), np.zeros(size, np.float32))
        weight = np.sum(self._weights, axis=0)
        if len(self._colours) == 1:
            return Extraction(self._colours[0].copy(), weight)
        seen = weight > 0
        colours = np.stack([colour[seen] for colour in self._colours])
        weights = np.stack([weight[seen] for weight in self._weights])
        picture = np.zeros((*size, 3), np.uint8)
        picture[seen] = np.rint(_robust_mean(colours, weights))
        return Extraction(picture, weight)


def _robust_mean(colours: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean (n, 3) of colours (K, n, 3) with weights (K, n), outliers from the median reduced."""
    order = np.argsort(colours, axis=0)
    ranked = np.take_along_axis(np.repeat(weights[..., None], 3, 2), order, 0).cumsum(0)
    middle = (ranked >= ranked[-1] / 2).argmax(0)
    index = np.take_along_axis(order, middle[None], 0)
    median = np.take_along_axis(colours, index, 0)[0].astype(np.float32)
    off = np.abs(colours - median).max(-1) / AGREEMENT
    weights = weights / (1 + off**4)
    return (colours * weights[..., None]).sum(0) / weights.sum(0)[..., None]


def _view(
    picture: np.ndarray, labels: np.ndarray, u: np.ndarray, v: np.ndarray, tile: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Colours (6T, 4T, 3) uint8 and weights (6T, 4T) of one view of a person; None: no texels.

    Args:
        picture: (h, w, 3) of the person's box. labels, u, v: (h, w).
    """
    x, y = positions(labels, u, v, tile)
    place = np.stack([x, y], -1).astype(np.float64)
    corners = np.stack([place[:-1, :-1], place[:-1, 1:], place[1:, 1:], place[1:, :-1]], 2)
    part = labels[:-1, :-1]
    whole = (part > 0) & (part == labels[:-1, 1:])
    whole &= (part == labels[1:, 1:]) & (part == labels[1:, :-1])
    row, column = np.nonzero(whole)
    corners, part = corners[row, column], part[row, column]
    usual = _usual_length(corners, part)
    keep = np.ptp(corners, axis=1).max(1) <= LONGEST * usual[part]
    corners, part, row, column = corners[keep], part[keep], row[keep], column[keep]
    if not len(row):
        return None
    # two triangles each: corners 0 1 2 and 0 2 3
    triangle = corners[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 2)
    a, b = triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    drawn = draw_triangles(triangle, area / (1 + area), tile)

    hit = drawn.hit
    face, weight = drawn.face[hit], drawn.barycentric[hit]
    # offsets of the corners of both halves from the quadrilateral's first
    steps = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32)
    offset = (steps[face % 2] * weight[..., None]).sum(1)
    at = np.stack([column, row], 1)[face // 2] + offset

    size = hit.shape
    lookup = np.zeros((*size, 2), np.float32)
    lookup[hit] = at
    source = _softened(picture, labels, area[::2] + area[1::2], part)
    colour = cv2.remap(source, lookup, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    colour[~hit] = 0
    trust = _foreground(picture, labels)
    density = np.zeros(size, np.float32)
    density[hit] = 0.5 / np.maximum(area[face], 1e-2)
    density *= cv2.remap(trust, lookup, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return colour, density


def _usual_length(corners: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Median extent (25,) of each part's quadrilaterals (n, 4, 2), at least one texel."""
    extent = np.ptp(corners, axis=1).max(1)
    usual = np.ones(NUM_FINE_PARTS + 1)
    for p in np.unique(part):
        usual[p] = max(1.0, np.median(extent[part == p]))
    return usual


def _softened(picture: np.ndarray, labels: np.ndarray, area: np.ndarray, part: np.ndarray):
    """The picture, averaged within parts over the pixels that a texel covers, against aliasing.

    Args:
        area: (n,) area of each pixel's quadrilateral, in texels.
        part: (n,) its part.
    """
    result = picture
    for p in np.unique(part):
        width = round(max(np.median(area[part == p]), 1e-4) ** -0.5)
        if width < 2:
            continue
        if result is picture:
            result = picture.copy()
        x, y, w, h = cv2.boundingRect((labels == p).view(np.uint8))
        mask = (labels[y : y + h, x : x + w] == p).view(np.uint8)
        window = slice(y, y + h), slice(x, x + w)
        share = cv2.blur(mask.astype(np.float32), (width, width))
        mean = cv2.blur(cv2.copyTo(picture[window], mask).astype(np.float32), (width, width))
        mean /= np.maximum(share, 1e-3)[..., None]
        cv2.copyTo(np.clip(mean + 0.5, 0, 255).astype(np.uint8), mask, result[window])
    return result


def _foreground(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights (h, w) float32: 1 well inside the person, OUTLINE where background may mix in.

    These are the outline itself and, in a wider band, pixels that resemble the nearby background
    more than the nearby person.
    """
    person = (labels > 0).view(np.uint8)
    size = cv2.countNonZero(person) ** 0.5
    outline = person - _eroded(person, 1 + round(MARGIN * size))
    deep = _eroded(person, 1 + round(BAND * size))
    sigma = max(BAND * size, 1.0)
    colours = picture.astype(np.float32)

    def mean(mask):
        mask = mask.astype(np.float32)
        total = cv2.GaussianBlur(mask, (0, 0), sigma)
        return cv2.GaussianBlur(colours * mask[..., None], (0, 0), sigma), total[..., None]

    inner, much_inner = mean(deep)
    outer, much_outer = mean(1 - person)
    # a pixel without both neighbourhoods stays; distances from the means, both times both totals
    to_inner = np.abs(colours * much_inner - inner).sum(-1) * much_outer[..., 0]
    to_outer = np.abs(colours * much_outer - outer).sum(-1) * much_inner[..., 0]
    foreign = (deep == 0) & (to_outer < to_inner)
    return np.where((outline > 0) | foreign, OUTLINE, 1).astype(np.float32)


def _eroded(mask: np.ndarray, margin: int) -> np.ndarray:
    """A mask eroded by a margin, but not at the picture's border."""
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return cv2.erode(mask, kernel, borderValue=1)
