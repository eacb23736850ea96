"""The best and worst detected people: kept while images are scored, and drawn at the end."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from ..files.picture_encoding import encode_picture
from ..visualization.palette import PART_COLOURS
from .people import AnnotatedPerson, GroundTruth, Image
from .results import decode_iuv, encode_iuv
from .scorecard import FoundPerson

NUM_WORST, NUM_BEST = 10, 6

#: Size of a picture in pixels; wider ones are squeezed.
_HEIGHT, _MAX_WIDTH = 320, 1280


@dataclass(frozen=True)
class Exhibit:
    """A detected person, and the predicted map."""

    gps: float
    area: float
    image_id: int | str
    person_id: int | str
    box: tuple[float, ...]
    shape: tuple[int, ...]
    data: str


def _badness(gps: float, area: float) -> tuple[float, float]:
    """Sort key: worst first, and of equals the larger first."""
    return gps, -area


def _goodness(gps: float, area: float) -> tuple[float, float]:
    """Sort key: best first, and of equals the larger first."""
    return -gps, -area


@dataclass
class Gallery:
    """The people with the lowest and the highest GPS so far, with their maps as PNGs."""

    worst: list[Exhibit] = field(default_factory=list)
    best: list[Exhibit] = field(default_factory=list)

    def add(self, found: Iterable[FoundPerson]) -> None:
        """Adds the people who are among the best or worst; maps of others are not read."""
        for one in found:
            rank = _badness(one.gps, one.person.area), _goodness(one.gps, one.person.area)
            if (
                len(self.worst) < NUM_WORST
                or len(self.best) < NUM_BEST
                or rank[0] < _badness(self.worst[-1].gps, self.worst[-1].area)
                or rank[1] < _goodness(self.best[-1].gps, self.best[-1].area)
            ):
                iuv = one.detections.whole(one.number)
                self._insert(
                    Exhibit(
                        one.gps,
                        one.person.area,
                        one.person.image.id,
                        one.person.id,
                        tuple(one.detections.boxes[one.number].tolist()),
                        iuv.shape,
                        encode_iuv(iuv),
                    )
                )

    def _insert(self, exhibit: Exhibit) -> None:
        self.worst = sorted([*self.worst, exhibit], key=lambda e: _badness(e.gps, e.area))[
            :NUM_WORST
        ]
        self.best = sorted([*self.best, exhibit], key=lambda e: _goodness(e.gps, e.area))[:NUM_BEST]

    @classmethod
    def merged(cls, galleries: Iterable[Gallery]) -> Gallery:
        """The best and worst of several processes."""
        result = cls()
        for gallery in galleries:
            for exhibit in {e.person_id: e for e in [*gallery.worst, *gallery.best]}.values():
                result._insert(exhibit)
        return result


def draw(exhibit: Exhibit | None, person: AnnotatedPerson) -> np.ndarray:
    """Truth and prediction side by side.

    On the left the annotated points in the colours of their parts; on the right the predicted
    parts, with a cross at points where they are wrong.

    Args:
        exhibit: the detection, or None for a person who was missed.
        person: the annotation; the background is grey if the picture cannot be read.

    Returns:
        RGB uint8, (320, W, 3).
    """
    picture = _read(person.image)
    boxes = [person.box] if exhibit is None else [person.box, np.array(exhibit.box)]
    margin = 0.1 * person.box[2:].max()
    x0 = int(max(min(box[0] for box in boxes) - margin, 0))
    y0 = int(max(min(box[1] for box in boxes) - margin, 0))
    x1 = int(min(max(box[0] + box[2] for box in boxes) + margin, person.image.width))
    y1 = int(min(max(box[1] + box[3] for box in boxes) + margin, person.image.height))
    predicted = picture.copy()
    if exhibit is not None:
        _paint(predicted, exhibit)
    # A box of less than a pixel, or at the border, still shows one pixel.
    x0, y0 = min(x0, person.image.width - 1), min(y0, person.image.height - 1)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    size = min(max(round((x1 - x0) * _HEIGHT / (y1 - y0)), 1), _MAX_WIDTH), _HEIGHT
    scale = np.array(size) / [x1 - x0, y1 - y0]
    halves = [
        cv2.resize(np.ascontiguousarray(half[y0:y1, x0:x1]), size, interpolation=cv2.INTER_LINEAR)
        for half in (picture, predicted)
    ]
    _draw_points(halves, exhibit, person, np.array([x0, y0]), scale)
    return np.concatenate([halves[0], np.full((_HEIGHT, 4, 3), 255, np.uint8), halves[1]], axis=1)


def _read(image: Image) -> np.ndarray:
    """The picture in RGB, or grey of its size if it cannot be read."""
    picture = cv2.imread(image.path, cv2.IMREAD_COLOR) if os.path.isfile(image.path) else None
    if picture is None or picture.shape[:2] != (image.height, image.width):
        return np.full((image.height, image.width, 3), 96, np.uint8)
    return np.ascontiguousarray(picture[..., ::-1])


def _paint(picture: np.ndarray, exhibit: Exhibit) -> None:
    """Lays the predicted parts over the picture."""
    labels = decode_iuv(exhibit.data, exhibit.shape)[0]
    x, y = int(exhibit.box[0]), int(exhibit.box[1])
    x0, y0 = max(x, 0), max(y, 0)
    x1 = min(x + labels.shape[1], picture.shape[1])
    y1 = min(y + labels.shape[0], picture.shape[0])
    labels = labels[y0 - y : y1 - y, x0 - x : x1 - x]
    window = picture[y0:y1, x0:x1]
    on = labels > 0
    window[on] = (0.25 * window[on] + 0.75 * PART_COLOURS[labels[on]]).astype(np.uint8)


def _draw_points(
    halves: list[np.ndarray],
    exhibit: Exhibit | None,
    person: AnnotatedPerson,
    corner: np.ndarray,
    scale: np.ndarray,
) -> None:
    labels = decode_iuv(exhibit.data, exhibit.shape)[0] if exhibit is not None else None
    for x, y, part in zip(person.x, person.y, person.parts):
        at = tuple(int(value) for value in (np.array([x, y]) - corner) * scale)
        colour = tuple(int(value) for value in PART_COLOURS[part])
        cv2.circle(halves[0], at, 4, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(halves[0], at, 3, colour, -1, cv2.LINE_AA)
        if labels is not None:
            px, py = int(x - exhibit.box[0]), int(y - exhibit.box[1])
            inside = 0 <= py < labels.shape[0] and 0 <= px < labels.shape[1]
            if not inside or labels[py, px] != part:
                cv2.drawMarker(halves[1], at, (255, 255, 255), cv2.MARKER_TILTED_CROSS, 9, 3)
                cv2.drawMarker(halves[1], at, (200, 0, 0), cv2.MARKER_TILTED_CROSS, 7, 1)


def draw_people(
    people: list[dict], exhibits: list[Exhibit], truth: GroundTruth
) -> list[tuple[dict, str]]:
    """JPEGs, as base64, of the listed people.

    Args:
        people: from a report's lists. exhibits: of the gallery; people without one were missed.
    """
    by_person = {(e.image_id, e.person_id): e for e in exhibits}
    drawn = []
    for entry in people:
        key = entry["image_id"], entry["person_id"]
        (person,) = (p for p in truth.people(key[0]) if p.id == key[1])
        picture = draw(by_person.get(key), person)
        jpeg = encode_picture(".jpg", np.ascontiguousarray(picture[..., ::-1]), 85)
        drawn.append((entry, base64.b64encode(jpeg).decode("ascii")))
    return drawn
