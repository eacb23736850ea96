"""Temporal smoothing of I, U, V: the surface of each person is averaged over time.

U and V of neighbouring charts are unrelated, so they are averaged within a chart only. Across
charts, the 3-D points on the body in its rest pose are averaged, and the mean is projected onto the
body.
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

#: Side of a pixel's neighbourhood, pixels.
AROUND = 9
#: A pixel's part is doubtful if a smaller share of its neighbours agrees; half a thin arm has more.
LONELY = 0.35
#: Within a chart, U and V that differ by more may be on two sides of a seam.
WITHIN_CHART = 0.25
#: For parts of fewer pixels no motion is estimated.
PIXELS_FOR_MOTION = 20
#: Added to the variances of U and V in the fit of positions, so that slopes of narrow strips stay
#: finite. The square of 0.02.
RIDGE = 4e-4
#: Number of nearest triangles that a 3-D point is compared with.
CANDIDATES = 8


class SurfaceSmoother:
    """Averages the surface of tracked people over time, following their motion.

    The motion comes from the surface itself: in each frame, the pixel positions of a part are
    fitted by an affine function of U and V, and the difference between the functions of two frames
    is the motion. Each pixel's value is compared, as a point on the body, with the value of the
    last smoothed frame at the position that the pixel came from:

    - They are near: the result is their weighted mean.
    - They are far apart, the old value is near the mean of the pixel's neighbourhood, and the new
      one is not and has a part that few neighbours share: it is taken for an error, and the old
      value replaces it.
    - Otherwise the old value is dropped: something else is there now.

    Which pixels belong to a person does not change.
    """

    def __init__(
        self, weight: float = 0.5, reach: float = 0.08, surface: BodySurface | None = None
    ):
        """
        Args:
            weight: of the past, in [0, 1); 0.6 halves the standard deviation of independent noise.
            reach: distance below which two points of the body count as near, metres.
            surface: of I, U, V; default: the open body.

        Raises:
            ValueError: weight or reach is out of range.
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
            identities: of the people, from :class:`Tracker`. People who were not in the last
                frame start afresh.
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
        # an isolated value, where the last frame's fits
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
        """I, U, V of the points of the body in its rest pose nearest to points (P, 3)."""
        tree, corners = self._triangles
        _, near = tree.query(points, k=CANDIDATES)
        weights = _nearest_in(corners[near], points[:, None])
        miss = _length((corners[near] * weights[..., None]).sum(-2) - points[:, None])
        best = np.arange(len(points)), miss.argmin(1)
        return self.surface.iuv(near[best], weights[best])

    @cached_property
    def _triangles(self) -> tuple[cKDTree, np.ndarray]:
        """Search tree of the centres of the body's triangles, and their corners (F, 3, 3)."""
        corners = self.surface.body.vertices[self.surface.body.faces]
        return cKDTree(corners.mean(1)), corners


def _length(vectors: np.ndarray) -> np.ndarray:
    """Lengths (...) of vectors (..., 3)."""
    return np.linalg.norm(vectors, axis=-1)


def _nearest_in(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Approximate barycentric weights (..., 3) of the nearest points of triangles (..., 3, 3).

    Weights below 0 are set to 0: exact inside a triangle, and off by a fraction of it outside.
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
        on: (h, w) bool, on the body.
        corner: (2,) column and row of its upper left pixel in the picture.
        i, u, v: (n,), U and V within [0, 1].
        position: (n, 2) column and row in the picture.
        points, around: (n, 3) points of the body in its rest pose, and their means over each
            pixel's neighbourhood.
        sound: (n,) bool: pixels whose neighbourhood shares their part; isolated errors do not.
        where: the affine fit of each part.
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
        labels, uv = person.result.labels.numpy(), person.result.chart_uv.numpy()
        on, corner = labels > 0, np.array(person.corner)
        i, (u, v) = labels[on].astype(np.int64), uv[:, on].astype(np.float64).clip(0, 1)
        points = surface.points(i, u, v)
        sound = _share_around(on, FINE_TO_COARSE[labels]) > LONELY
        around = _mean_around(on, points, sound)
        position = np.stack(np.nonzero(on)[::-1], 1) + corner
        # isolated errors would distort the fit of the part they are taken for
        where = _Positions.fitted(*(values[sound] for values in (i, u, v, position)))
        return cls(on, corner, i, u, v, position, points, around, sound, where)

    def moved_since(self, last: _Seen) -> np.ndarray:
        """(n, 2) motion of each pixel since the other frame, pixels."""
        known = (self.where.known & last.where.known)[self.i]
        moved = self.where(self.i, self.u, self.v) - last.where(self.i, self.u, self.v)
        moved[~known] = moved[known].mean(0) if known.any() else self.corner - last.corner
        # isolated errors move with their neighbourhood
        return np.where(self.sound[:, None], moved, _mean_around(self.on, moved, self.sound))

    def at(self, part: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """I, U, V at positions in the picture, each (n,); I is 0 off the body.

        U and V are interpolated between pixels of the given parts (n,); elsewhere the nearest pixel
        is taken.
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
        """The result with its I, U, V replaced."""
        labels = np.zeros(self.on.shape, np.uint8)
        uv = np.zeros((2, *self.on.shape), np.float32)
        labels[self.on], uv[:, self.on] = self.i, (self.u, self.v)
        return replace(result, labels=torch.from_numpy(labels), uv=torch.from_numpy(uv))


def _share_around(on: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Share (n,) of the body pixels around each one that have the same coarse part (h, w)."""

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
    """Mean (n, k), over each pixel's neighbourhood, of the values (n, k) of chosen (n,) pixels.

    Pixels with none in their neighbourhood keep their value.
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
    """Pixel positions as an affine function of U and V, for each part.

    Attributes:
        known: (25,) bool: the parts with enough pixels.
    """

    def __init__(self) -> None:
        parts = NUM_FINE_PARTS + 1
        self.known = np.zeros(parts, bool)
        self._mean = np.zeros((parts, 4))  # of U, V, x, y
        self._slope = np.zeros((parts, 2, 2))  # of x, y (last) by U, V

    @classmethod
    def fitted(
        cls, i: np.ndarray, u: np.ndarray, v: np.ndarray, position: np.ndarray
    ) -> _Positions:
        """Fits by least squares: I, U, V (P,) at positions (P, 2)."""
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
        """Positions (P, 2) of the points I, U, V (P,)."""
        mean = self._mean[i]
        uv = np.stack([u, v], 1) - mean[:, :2]
        return mean[:, 2:] + (uv[:, :, None] * self._slope[i]).sum(1)
