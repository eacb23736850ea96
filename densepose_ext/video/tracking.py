"""Tracks people from frame to frame, by their boxes and the surface seen in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..structures import Person
from ..surface.parts import FINE_TO_COARSE

#: Side of the grid of points at which the surfaces of two people are compared.
GRID = 24
#: People whose boxes have a lower IoU are never the same.
SMALLEST_IOU = 0.1
#: A speed is estimated from two boxes if the log ratio of their sides is below this.
STEADY = 0.25
#: Weight of the old speed in the running mean of a track's speed.
INERTIA = 0.5


@dataclass
class _Track:
    """One tracked person.

    Attributes:
        identity: from 1, in order of appearance.
        box: (4,) where the person was last seen.
        speed: (2,) of the box's centre, pixels per frame.
        labels: (h, w) fine parts when last seen, starting at column and row ``corner``.
        missed: frames since then.
    """

    identity: int
    box: np.ndarray
    speed: np.ndarray
    labels: np.ndarray
    corner: tuple[int, int]
    missed: int = 0

    @property
    def shift(self) -> np.ndarray:
        """(2,) expected motion up to the next frame, pixels."""
        return self.speed * (self.missed + 1)


class Tracker:
    """Gives people identities that persist over consecutive frames.

    The similarity of a track and a person is the IoU of their boxes, the track's moved on at its
    speed, times (1 + a) / 2, where a is the share of their common pixels with the same coarse part.
    The assignment with the largest total similarity is taken. A person who is not found for a few
    frames keeps the identity; after that it is dropped, and never used again.
    """

    def __init__(self, gap: int = 15, similarity: float = 0.15):
        """
        Args:
            gap: number of consecutive frames for which somebody may be missing.
            similarity: least similarity of a person to their track, 0 to 1.

        Raises:
            ValueError: the gap is below 0, or the similarity outside [0, 1].
        """
        if gap < 0:
            raise ValueError(f"a gap of {gap} frames; expected 0 or more")
        if not 0 <= similarity <= 1:
            raise ValueError(f"similarity is {similarity}; expected 0 to 1")
        self.gap = gap
        self.similarity = similarity
        self._tracks: list[_Track] = []
        self._count = 0

    def update(self, people: Sequence[Person]) -> list[int]:
        """The identities of the people of the next frame, all different."""
        similar = self._similarities(people)
        # the cost is -similarity; pairs below the least similarity cost 0 and are dropped
        tracks, found = linear_sum_assignment(-similar)
        identities = [0] * len(people)
        for t, n in zip(tracks, found):
            if similar[t, n] > 0:
                identities[n] = self._tracks[t].identity
                self._follow(self._tracks[t], people[n])
        continued = set(identities)
        for track in self._tracks:
            track.missed += track.identity not in continued
        self._tracks = [track for track in self._tracks if track.missed <= self.gap]
        for n, person in enumerate(people):
            if not identities[n]:
                self._count += 1
                identities[n] = self._count
                labels = person.result.labels.numpy()
                self._tracks.append(
                    _Track(self._count, person.box, np.zeros(2), labels, person.corner)
                )
        return identities

    def _follow(self, track: _Track, person: Person) -> None:
        moved = _middle(person.box) - _middle(track.box)
        sizes = (person.box[2:] - person.box[:2]).clip(1) / (track.box[2:] - track.box[:2]).clip(1)
        # the centre of a box also moves when the person is partly occluded
        if np.abs(np.log(sizes)).max() < STEADY:
            speed = moved / (track.missed + 1)
            track.speed = INERTIA * track.speed + (1 - INERTIA) * speed
        track.box, track.missed = person.box, 0
        track.labels, track.corner = person.result.labels.numpy(), person.corner

    def _similarities(self, people: Sequence[Person]) -> np.ndarray:
        """Similarities (tracks, people), 0 for impossible pairs."""
        boxes = np.array([p.box for p in people], np.float64).reshape(-1, 4)
        last = np.array([t.box + np.tile(t.shift, 2) for t in self._tracks]).reshape(-1, 4)
        similar = box_iou(last, boxes)
        similar[similar < SMALLEST_IOU] = 0
        for t, n in zip(*np.nonzero(similar)):
            similar[t, n] *= (1 + _agreement(self._tracks[t], people[n])) / 2
        similar[similar < self.similarity] = 0
        return similar


def _middle(box: np.ndarray) -> np.ndarray:
    return (box[:2] + box[2:]).astype(np.float64) / 2


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU (A, B) of XYXY boxes (A, 4) and (B, 4); 0 for empty boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clip(0).prod(-1)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).clip(0).prod(-1) for box in (a, b))
    either = area_a[:, None] + area_b[None] - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def _agreement(track: _Track, person: Person) -> float:
    """Share of the common pixels with the same coarse part; 0 if there are none."""
    box = person.box.astype(np.float64)
    step = (np.arange(GRID) + 0.5) / GRID
    columns = box[0] + step * (box[2] - box[0])
    rows = box[1] + step * (box[3] - box[1])
    now = _sampled(person.result.labels.numpy(), person.corner, columns, rows)
    before = _sampled(track.labels, track.corner, columns - track.shift[0], rows - track.shift[1])
    common = (now > 0) & (before > 0)
    if not common.any():
        return 0.0
    return float((now == before)[common].mean())


def _sampled(
    labels: np.ndarray, corner: tuple[int, int], columns: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Coarse parts (R, C) at rows (R,) and columns (C,) of the picture, 0 outside the labels."""
    x = np.floor(columns).astype(np.int64) - corner[0]
    y = np.floor(rows).astype(np.int64) - corner[1]
    height, width = labels.shape
    inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))[None]
    parts = FINE_TO_COARSE[labels[y.clip(0, height - 1)[:, None], x.clip(0, width - 1)[None]]]
    return parts * inside
