"""I, U, V that do not flicker: the surface of each person is averaged over time, on the body.

U and V of neighbouring parts have nothing to do with each other, so numbers are only averaged
within a chart; across charts places on the body at rest are, and the mean is put back on the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree

from ..structures import DensePoseResult, Person
from ..surface.parts import FINE_TO_COARSE, NUM_COARSE_PARTS, NUM_FINE_PARTS
from ..surface.surface import BodySurface

#: Side in pixels of what is around a pixel.
AROUND = 9
#: Share of the pixels around one, below which its part is in doubt. Half a thin arm has more.
LONELY = 0.35
#: Within a chart, U and V that differ by more may lie on two sides of a cut.
WITHIN_CHART = 0.25
#: A part of fewer pixels has no motion of its own.
PIXELS_FOR_MOTION = 20
#: Added to the variances of U and V where positions are fitted to them: it keeps slopes of narrow
#: strips finite. The square of 0.02.
RIDGE = 4e-4
#: Triangles that a place in space is compared with.
CANDIDATES = 8


class SurfaceSmoother:
    """Averages the surface of tracked people over time, along with their motion.

    Where a pixel was in the last frame is told by the surface: in both frames the positions in the
    picture of each part are fitted by an affine function of U and V, and the difference of the two
    functions is how far the pixel's place on the body has moved. What the last smoothed frame has
    there is, as a place on the body,

    - near to what this frame says: the result lies between the two;
    - far from it, but near to the mean of what is around the pixel, while this frame's value is
      far from that and alone with its part (it is mistaken for another): it replaces the value;
    - else of no use: somebody's arm has moved away from there.

    Which pixels belong to a person is left as it is.
    """

    def __init__(
        self, weight: float = 0.5, reach: float = 0.08, surface: BodySurface | None = None
    ):
        """
        Args:
            weight: of the past, 0 to below 1; 0.6 halves the standard deviation of what is
                another in every frame.
            reach: distance on the body up to which two places are taken for one, metres.
            surface: what I, U, V mean; default: the open body.

        Raises:
            ValueError: for a weight or reach out of range.
        """
        if not 0 <= weight < 1:
            raise ValueError(f"weight is {weight}; expected 0 to below 1")
        if not reach > 0:
            raise ValueError(f"reach is {reach}; expected metres, above 0")
        self.weight = weight
        self.reach = reach
        self.surface = BodySurface.load() if surface is None else surface
        self._last: dict[int, _Seen] = {}

    def __call__(self, people: Sequence[Person], identities: Sequence[int]) -> list[Person]:
        """The people of the next frame, in the same order, with smoothed I, U, V.

        Args:
            identities: of the people, as :class:`Tracker` gives them. Who was not in the last
                frame starts anew.
        """
        seen = {
            identity: self._smoothed(_Seen.of(person, self.surface), self._last.get(identity))
            for person, identity in zip(people, identities)
        }
        self._last = seen
        return [
            replace(person, result=seen[identity].put_into(person.result))
            for person, identity in zip(people, identities)
        ]

    def _smoothed(self, now: _Seen, last: _Seen | None) -> _Seen:
        if last is None or not len(now.i) or not len(last.i):
            return now
        part, u, v = last.at(now.i, *(now.position - now.moved_since(last)).T)
        had = np.flatnonzero(part)
        part, u, v = part[had], u[had], v[had]
        points = self.surface.points(part, u, v)
        apart = _length(points - now.points[had])
        near = apart < self.reach
        # a value that stands alone, where the last frame's fits
        alone, fits = _length(now.points - now.around)[had], _length(points - now.around[had])
        better = ~near & ~now.sound[had] & (alone > self.reach) & (fits < alone / 2)

        result = replace(now, i=now.i.copy(), u=now.u.copy(), v=now.v.copy())
        taken = had[better]
        result.i[taken], result.u[taken], result.v[taken] = part[better], u[better], v[better]
        to_u, to_v = u - now.u[had], v - now.v[had]
        same = near & (part == now.i[had])
        same &= np.maximum(np.abs(to_u), np.abs(to_v)) < WITHIN_CHART
        result.u[had[same]] += self.weight * to_u[same]
        result.v[had[same]] += self.weight * to_v[same]
        other = near & ~same
        if other.any():
            chosen = had[other]
            between = now.points[chosen]
            between = between + self.weight * (points[other] - between)
            result.i[chosen], result.u[chosen], result.v[chosen] = self._put_back(between)
        return result

    def _put_back(self, points: np.ndarray) -> tuple[np.ndarray, ...]:
        """I, U, V of the places of the body at rest that are nearest to points (P, 3)."""
        tree, corners = self._triangles
        _, near = tree.query(points, k=CANDIDATES)
        weights = _nearest_in(corners[near], points[:, None])
        miss = _length((corners[near] * weights[..., None]).sum(-2) - points[:, None])
        best = np.arange(len(points)), miss.argmin(1)
        return self.surface.iuv(near[best], weights[best])

    @cached_property
    def _triangles(self) -> tuple[cKDTree, np.ndarray]:
        """Middles of the body's triangles, to be searched, and their corners (F, 3, 3)."""
        corners = self.surface.body.vertices[self.surface.body.faces]
        return cKDTree(corners.mean(1)), corners


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors * vectors).sum(-1))


def _nearest_in(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Barycentric weights (..., 3) of about the nearest place of triangles (..., 3, 3) to points.

    Weights below 0 are set to 0, which is exact inside, and off by a share of a triangle beside it.
    """
    a, b, c = (corners[..., k, :] for k in range(3))
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = ((x * y).sum(-1) for x, y in ((ab, ab), (ab, ac), (ac, ac)))
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-18)
    second, third = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    weights = np.stack([1 - second - third, second, third], -1).clip(0)
    return weights / weights.sum(-1, keepdims=True)


@dataclass
class _Seen:
    """The surface of a person in one frame; n pixels are on the body.

    Attributes:
        on: (h, w) bool. corner: (2,) column and row of the picture where it starts.
        i, u, v: (n,), U and V within [0, 1].
        position: (n, 2) column and row in the picture.
        points, around: (n, 3) places on the body at rest, and their means around each pixel.
        sound: (n,) bool: pixels that have others of their part around them; mistaken ones do not.
        where: the parts' positions in the picture.
    """

    on: np.ndarray
    corner: np.ndarray
    i: np.ndarray
    u: np.ndarray
    v: np.ndarray
    position: np.ndarray
    points: np.ndarray
    around: np.ndarray
    sound: np.ndarray
    where: _Positions

    @classmethod
    def of(cls, person: Person, surface: BodySurface) -> _Seen:
        labels, uv = person.result.labels.numpy(), person.result.uv.numpy()
        on, corner = labels > 0, np.array(person.corner)
        i, (u, v) = labels[on].astype(np.int64), uv[:, on].astype(np.float64).clip(0, 1)
        points = surface.points(i, u, v)
        sound = _share_around(on, FINE_TO_COARSE[labels]) > LONELY
        around = _mean_around(on, points, sound)
        position = np.stack(np.nonzero(on)[::-1], 1) + corner
        # mistaken parts would pull the position of the part they are taken for
        where = _Positions.fitted(*(values[sound] for values in (i, u, v, position)))
        return cls(on, corner, i, u, v, position, points, around, sound, where)

    def moved_since(self, last: _Seen) -> np.ndarray:
        """(n, 2) pixels by which the places on the body have moved in the picture."""
        known = (self.where.known & last.where.known)[self.i]
        moved = self.where(self.i, self.u, self.v) - last.where(self.i, self.u, self.v)
        moved[~known] = moved[known].mean(0) if known.any() else self.corner - last.corner
        # what is mistaken moves as what is around it does
        return np.where(self.sound[:, None], moved, _mean_around(self.on, moved, self.sound))

    def at(self, part: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """I, U, V at positions of the picture, each (n,); I is 0 beside the body.

        Between pixels of the given parts (n,) U and V are interpolated; elsewhere the nearest
        pixel is taken.
        """
        height, width = self.on.shape
        labels, uv = np.zeros((height, width), np.int64), np.zeros((2, height, width))
        labels[self.on], uv[:, self.on] = self.i, (self.u, self.v)
        x, y = x - self.corner[0], y - self.corner[1]
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        total, mean = np.zeros(len(part)), np.zeros((2, len(part)))
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            column, row = left + dx, top + dy
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            pixel = row.clip(0, height - 1), column.clip(0, width - 1)
            weight = (1 - np.abs(x - column)) * (1 - np.abs(y - row))
            weight = weight * (inside & (labels[pixel] == part))
            total += weight
            mean += weight * uv[(slice(None), *pixel)]
        column, row = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        pixel = row.clip(0, height - 1), column.clip(0, width - 1)
        same = total > 1e-6
        u, v = np.where(same, mean / np.where(same, total, 1), uv[(slice(None), *pixel)])
        return np.where(same, part, labels[pixel] * inside), u, v

    def put_into(self, result: DensePoseResult) -> DensePoseResult:
        """The result with these I, U, V."""
        labels = np.zeros(self.on.shape, np.uint8)
        uv = np.zeros((2, *self.on.shape), np.float32)
        labels[self.on], uv[:, self.on] = self.i, (self.u, self.v)
        return replace(result, labels=torch.from_numpy(labels), uv=torch.from_numpy(uv))


def _share_around(on: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Share (n,) of the body's pixels around each one that are of the same coarse part (h, w)."""

    def count(chosen: np.ndarray) -> np.ndarray:
        border = {"normalize": False, "borderType": cv2.BORDER_CONSTANT}
        return cv2.boxFilter(chosen.astype(np.float32), -1, (AROUND, AROUND), **border)

    same = np.zeros(on.shape, np.float32)
    for part in range(1, NUM_COARSE_PARTS + 1):
        own = parts == part
        if own.any():
            same[own] = count(own)[own]
    return same[on] / count(on)[on]


def _mean_around(on: np.ndarray, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean (n, k) around each pixel of the values (n, k) of the chosen (n,) pixels.

    Pixels without any around them keep their value.
    """
    weight = chosen[:, None].astype(np.float32)
    stack = np.concatenate([weight, weight * values], 1).astype(np.float32)
    dense = np.zeros((*on.shape, stack.shape[1]), np.float32)
    dense[on] = stack
    side = (AROUND, AROUND)
    summed = cv2.boxFilter(dense, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT)[on]
    count = summed[:, :1]
    return np.where(count > 0.5, summed[:, 1:] / np.maximum(count, 1), values)


class _Positions:
    """Positions in the picture as affine functions of U and V, one for each part.

    Attributes:
        known: (25,) bool: the parts with enough pixels.
    """

    def __init__(self) -> None:
        parts = NUM_FINE_PARTS + 1
        self.known = np.zeros(parts, bool)
        self._mean = np.zeros((parts, 4))  # of U, V, x, y
        self._slope = np.zeros((parts, 2, 2))  # of x, y (last) by U, V

    @classmethod
    def fitted(cls, i: np.ndarray, u: np.ndarray, v: np.ndarray, position: np.ndarray):
        """By least squares: I, U, V (P,) at positions (P, 2)."""
        self = cls()
        values = np.stack([u, v, *position.T])
        parts = len(self.known)
        count = np.bincount(i, minlength=parts)
        self.known = count >= PIXELS_FOR_MOTION
        safe = np.maximum(count, 1)
        self._mean = np.stack([np.bincount(i, x, parts) for x in values], 1) / safe[:, None]
        centred = values - self._mean[i].T
        moments = np.array(
            [[np.bincount(i, centred[a] * x, parts) / safe for x in centred] for a in (0, 1)]
        ).transpose(2, 0, 1)
        self._slope = np.linalg.solve(moments[..., :2] + RIDGE * np.eye(2), moments[..., 2:])
        return self

    def __call__(self, i: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(P, 2) where the places (P,) are."""
        mean = self._mean[i]
        uv = np.stack([u, v], 1) - mean[:, :2]
        return mean[:, 2:] + (uv[:, :, None] * self._slope[i]).sum(1)
