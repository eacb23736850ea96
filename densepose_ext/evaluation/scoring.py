"""Scores one image: similarities of its detections and people.

D detections, G people, P annotated points of all people together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pycocotools.mask as coco_mask

from ..surface.registry import Surface
from .detections import MAX_DETECTIONS, Detections
from .gps import (
    Kappa,
    geodesic_errors,
    mean_by_person,
    pixel_in_box,
    point_kappa,
    point_similarity,
)
from .masks import WindowMask, paste
from .people import AnnotatedPerson, Image

#: A detection is dropped if at least this share of its mask lies in an ignore region.
DETECTION_IN_REGION = 0.9


@dataclass
class ImageScores:
    """What AP needs of the detections and people of one image and category.

    Attributes:
        scores: (D,) descending. detection_areas: (D,) area of the box.
        gps, mask_iou, box_iou: (D, G).
        areas: (G,). crowd: (G,) bool. has_points: (G,) bool.
    """

    image_id: int | str
    category: int
    scores: np.ndarray
    detection_areas: np.ndarray
    gps: np.ndarray
    mask_iou: np.ndarray
    box_iou: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    has_points: np.ndarray


@dataclass
class PointPredictions:
    """Predictions of each detection at the points of the people of an image.

    Attributes:
        parts: (D, P) uint8, predicted part; 0 on background and outside the detection's box.
        errors: (D, P) float64, geodesic distance in metres; infinite where parts is 0, and nan
            everywhere if no surface was given.
        person: (P,) index of the person of each point, 0..G - 1, ascending.
    """

    parts: np.ndarray
    errors: np.ndarray
    person: np.ndarray


class ImageScorer:
    """Scores images on one surface with one tolerance."""

    def __init__(self, surface: Surface | None, kappa: Kappa = "per-part"):
        """
        Args:
            surface: of the annotations; None: no GPS (it is 0, and errors are nan).
            kappa: "per-part", or one tolerance in metres.
        """
        point_kappa(np.array([1]), kappa)
        self.has_gps = surface is not None
        self._surface = surface
        self._kappa = kappa

    def _reading(self, people: list[AnnotatedPerson], detections: Detections) -> ChartReading:
        return ChartReading(people, detections, self._surface)

    def _tolerance(self, parts: np.ndarray) -> np.ndarray:
        """Kappa (P,) in metres of true points by their parts (P,)."""
        return point_kappa(parts, self._kappa)

    def score(
        self, image: Image, category: int, people: list[AnnotatedPerson], detections: Detections
    ) -> tuple[ImageScores, PointPredictions]:
        """Similarities of all pairs.

        Args:
            image: the image.
            category: id, for the record.
            people: G, of that category. detections: D, of that category, best first.
        """
        boxes = np.array([person.box for person in people]).reshape(-1, 4)
        crowd = np.array([person.crowd for person in people], bool)
        reading = self._reading(people, detections)
        person, mask_iou = _read(image, people, boxes, detections, reading.read)
        points = reading.predictions(person)
        similarity = np.zeros(points.parts.shape)
        if self.has_gps and people:
            parts = np.concatenate([person.parts for person in people])
            similarity = point_similarity(points.errors, self._tolerance(parts))
        scores = ImageScores(
            image_id=image.id,
            category=category,
            scores=detections.scores,
            detection_areas=detections.boxes[:, 2] * detections.boxes[:, 3],
            gps=mean_by_person(similarity, points.person, len(people)),
            mask_iou=mask_iou,
            box_iou=_box_iou(detections.boxes, boxes, crowd),
            areas=np.array([person.area for person in people]),
            crowd=crowd,
            has_points=np.array([person.has_points for person in people], bool),
        )
        return scores, points


class ChartReading:
    """I, U and V of detections at the people's points, and their errors."""

    def __init__(
        self, people: list[AnnotatedPerson], detections: Detections, surface: Surface | None
    ):
        self._people, self._detections, self._surface = people, detections, surface
        points = sum(len(person.parts) for person in people)
        self._iuv = np.zeros((3, len(detections), points), np.uint8)

    def read(self, n: int, inside: np.ndarray, px: np.ndarray, py: np.ndarray) -> None:
        """Reads detection ``n`` at points that are inside of it.

        Args:
            inside: (P,) bool. px, py: pixels of those inside.
        """
        self._iuv[:, n, inside] = self._detections.at(n, px, py)

    def predictions(self, person: np.ndarray) -> PointPredictions:
        """
        Args:
            person: (P,) of each point.
        """
        return PointPredictions(self._iuv[0], self._errors(), person)

    def _errors(self) -> np.ndarray:
        """Distance in metres of each predicted point. (D, P)."""
        if self._surface is None:
            return np.full(self._iuv.shape[1:], np.nan)
        errors = np.full(self._iuv.shape[1:], np.inf)
        pairs, of = np.nonzero(self._iuv[0])
        if len(of):
            vertices = np.concatenate([person.vertices(self._surface) for person in self._people])
            iuv = self._iuv[:, pairs, of]
            errors[pairs, of] = geodesic_errors(self._surface, vertices[of], iuv)
        return errors


def _read(
    image: Image,
    people: list[AnnotatedPerson],
    boxes: np.ndarray,
    detections: Detections,
    read: Callable[[int, np.ndarray, np.ndarray, np.ndarray], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Reads each detection once, at the people's points, and its mask if it is near anybody.

    Args:
        boxes: of the people. (G, 4) xywh.
        read: called with the index of a detection, which points are inside it, and their pixels.

    Returns:
        the person of each point, (P,); mask IoU (D, G).
    """
    counts = [len(person.parts) for person in people]
    iou = np.zeros((len(detections), len(people)))
    person = np.repeat(np.arange(len(people)), counts)
    if not people:
        return person, iou
    x = np.concatenate([person.x for person in people])
    y = np.concatenate([person.y for person in people])
    px, py, inside = pixel_in_box(x, y, detections.boxes)
    meet = _meet(detections.boxes, boxes)
    true: dict[int, WindowMask] = {}
    for n in range(len(detections)):
        if inside[n].any():
            read(n, inside[n], px[n, inside[n]], py[n, inside[n]])
        if meet[n].any():
            mask = paste(detections.mask(n), detections.boxes[n], image.width, image.height)
        for g in np.flatnonzero(meet[n]):
            if g not in true:
                true[g] = people[g].mask()
            iou[n, g] = mask.iou(true[g], people[g].crowd)
    return person, iou


def outside_regions(image: Image, detections: Detections, region: np.ndarray | None) -> Detections:
    """The detections that are not inside the ignore regions of their image.

    Args:
        region: (H, W) bool, or None.
    """
    if region is None:
        return detections
    keep = np.ones(len(detections), bool)
    for n, box in enumerate(detections.boxes):
        x, y, w, h = box.astype(int)
        if w * h == 0:
            keep[n] = False
        elif region[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)].any():
            mask = paste(detections.mask(n), box, image.width, image.height)
            keep[n] = mask.iou(WindowMask(0, 0, region), crowd=True) < DETECTION_IN_REGION
    return detections[keep]


def best_of_category(detections: Detections, category: int) -> Detections:
    """The best detections of a category, at most MAX_DETECTIONS."""
    return detections[np.flatnonzero(detections.categories == category)[:MAX_DETECTIONS]]


def _box_iou(detected: np.ndarray, true: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """IoU of boxes xywh, over the detection's own area where the person is a crowd. (D, G)."""
    if not len(detected) or not len(true):
        return np.zeros((len(detected), len(true)))
    return np.asarray(coco_mask.iou(detected, true, crowd.astype(np.uint8)))


def _meet(detected: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Whether the pixels of two boxes xywh can overlap, with a margin of a pixel. (D, G) bool."""
    overlap = np.ones((len(detected), len(true)), bool)
    for axis in (0, 1):
        first = np.maximum(detected[:, None, axis], true[None, :, axis])
        last = np.minimum(
            (detected[:, axis] + detected[:, axis + 2])[:, None],
            (true[:, axis] + true[:, axis + 2])[None],
        )
        overlap &= last - first > -1
    return overlap
