"""Who is who from one frame to the next: by boxes and by the surface seen in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..structures import Person
from ..surface.parts import FINE_TO_COARSE

#: Places a side at which the surfaces of two people are compared.
GRID = 24
#: People whose boxes overlap less are never the same (intersection over union).
SMALLEST_IOU = 0.1
#: Logarithm of the ratio of two boxes' sides, below which their middles tell a speed.
STEADY = 0.25
#: Share of what was known of a track's speed that stays at a new frame.
INERTIA = 0.5


@dataclass
class _Track:
    """One person so far.

    Attributes:
        identity: from 1, in the order of appearance.
        box: (4,) where the person was last seen. speed: (2,) of its middle, pixels a frame.
        labels: (h, w) fine parts, from column and row ``corner`` on, when last seen.
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
        """(2,) how far the person should have gone by the next frame."""
        return self.speed * (self.missed + 1)


class Tracker:
    """Gives the people of consecutive frames identities that they keep.

    A person goes on as the one whose box, moved on at its speed, overlaps most with the person's,
    and whose surface agrees: the similarity of two is the intersection over union of their boxes
    times (1 + a) / 2, where a is the share of the pixels common to both whose coarse part is the
    same. Of all assignments the one with the largest sum is taken. Who is not found for some
    frames keeps the identity; later on it is given up, and numbers are never used again.
    """

    def __init__(self, gap: int = 15, similarity: float = 0.15):
        """
        Args:
            gap: frames in a row for which somebody may be missing.
            similarity: the least of a person and a track, 0 to 1.

        Raises:
            ValueError: for a gap below 0 or a similarity outside [0, 1].
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
        """The identity of each person of the next frame; all are different."""
        similar = self._similarities(people)
        # -similar is a cost; pairs that are too unlike cost nothing, and are dropped
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
        # the middle of a box also moves where something hides a part of the person
        if np.abs(np.log(sizes)).max() < STEADY:
            speed = moved / (track.missed + 1)
            track.speed = INERTIA * track.speed + (1 - INERTIA) * speed
        track.box, track.missed = person.box, 0
        track.labels, track.corner = person.result.labels.numpy(), person.corner

    def _similarities(self, people: Sequence[Person]) -> np.ndarray:
        """(tracks, people), 0 where two cannot be the same."""
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
    """Intersection over union (A, B) of boxes XYXY (A, 4) and (B, 4); 0 for empty ones."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clip(0).prod(-1)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).clip(0).prod(-1) for box in (a, b))
    either = area_a[:, None] + area_b[None] - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def _agreement(track: _Track, person: Person) -> float:
    """Share of the pixels on both whose coarse part is the same; 0 where there are none."""
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
    """Coarse parts (R, C) at rows (R,) and columns (C,) of the picture, 0 beside the labels."""
    x = np.floor(columns).astype(np.int64) - corner[0]
    y = np.floor(rows).astype(np.int64) - corner[1]
    height, width = labels.shape
    inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))[None]
    parts = FINE_TO_COARSE[labels[y.clip(0, height - 1)[:, None], x.clip(0, width - 1)[None]]]
    return parts * inside
