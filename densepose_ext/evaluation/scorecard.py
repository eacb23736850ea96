"""Collects the scores of a dataset image by image, and computes its metrics.

Only small matrices, and a byte or float per point, are kept of an image, not its maps. Scorecards
of several processes can be merged, with the same metrics as those of a single one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..surface.registry import Surface
from .detections import ArrayMaps, Detections
from .gps import Kappa
from .intervals import bootstrap
from .matching import (
    MODES,
    Matches,
    match_dataset,
    scored_thresholds,
    summarize,
)
from .people import AnnotatedPerson, GroundTruth, Image
from .pointwise import ImagePoints, match_by_box
from .scoring import (
    ImageScorer,
    ImageScores,
    best_of_category,
    outside_regions,
)

logger = logging.getLogger(f"detectron2.{__name__}")

_NO_DETECTIONS = Detections.best_first(
    np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), ArrayMaps([])
)


@dataclass
class ImageRecord:
    """What is kept of an image.

    Attributes:
        scores: of each category that has people or detections in it.
        points: predictions at the annotated points.
    """

    scores: list[ImageScores]
    points: list[ImagePoints]


@dataclass(frozen=True)
class FoundPerson:
    """A detected person and the detection, while its maps are still in memory."""

    person: AnnotatedPerson
    gps: float
    detections: Detections
    number: int


class Scorecard:
    """The scores of the images of a dataset.

    Attributes:
        truth: images and people.
        thresholds: (T,) that detections are matched at.
        has_gps: whether there is a surface to measure on.
    """

    def __init__(
        self,
        truth: GroundTruth,
        surface: Surface | None,
        kappa: Kappa = "per-part",
        min_threshold: float = 0.5,
        scorer: ImageScorer | None = None,
    ):
        """
        Args:
            truth: images and people.
            surface: of the annotations; None: score only masks and parts.
            kappa: tolerance of GPS: "per-part", or one for all points in metres.
            min_threshold: .4, .3 or .2 add AP40, AP30, AP20; AP itself does not change.
            scorer: for another kind of predictions, instead of surface and kappa.

        Raises:
            FileNotFoundError: a file of the surface is missing.
            ValueError: one cannot be used, or the minimum is outside of 0 to 1.
        """
        self.truth = truth
        self.thresholds = scored_thresholds(min_threshold, even=truth.by_vertices)
        self._scorer = scorer or ImageScorer(surface, kappa)
        self.has_gps = self._scorer.has_gps
        self._records: dict[int | str, ImageRecord] = {}
        self._matches: dict[str, dict[int, Matches]] | None = None
        self._warned_of_categories = False
        if surface is not None:
            vertex = surface.closest_vertex(np.array([1]), np.array([0.5]), np.array([0.5]))
            surface.geodesic(vertex, vertex)

    def add(self, image: Image, detections: Detections) -> list[FoundPerson]:
        """Scores the detections of an image, and replaces its earlier scores, if any.

        Returns:
            the people with dense pose who were detected.
        """
        people = self.truth.people(image.id)
        # As in the official evaluation, regions are ignored in images without people.
        region = image.ignore_regions if self.truth.has_people(image.id) else None
        detections = outside_regions(image, detections, region)
        self._warn_of_unknown_categories(detections)
        record, found = ImageRecord([], []), []
        for category in self.truth.categories:
            best = best_of_category(detections, category)
            own = [person for person in people if person.category == category]
            if not own and not len(best):
                continue
            scores, predictions = self._scorer.score(image, category, own, best)
            chosen = match_by_box(scores.box_iou, scores.has_points & ~scores.crowd)
            record.scores.append(scores)
            record.points.append(ImagePoints.of(own, scores, predictions, chosen))
            found += [
                FoundPerson(own[g], float(scores.gps[n, g]), best, int(n))
                for g, n in enumerate(chosen)
                if n >= 0
            ]
        self._records[image.id] = record
        self._matches = None
        return found

    def _warn_of_unknown_categories(self, detections: Detections) -> None:
        unknown = ~np.isin(detections.categories, list(self.truth.categories))
        if unknown.any() and not self._warned_of_categories:
            self._warned_of_categories = True
            first = detections.categories[unknown][0]
            logger.warning(
                "detections of %s are left out: %s has the categories %s",
                f"category {first}" if first >= 0 else "another class of the model",
                self.truth.source,
                sorted(self.truth.categories),
            )

    def state(self) -> dict[int | str, ImageRecord]:
        """The scores, to send to another process: some hundred bytes per person."""
        return self._records

    def merge(self, states: Iterable[Mapping[int | str, ImageRecord]]) -> None:
        """Adds what other processes scored."""
        for state in states:
            self._records |= state
        self._matches = None

    def images(self, category: int | None = None) -> list[ImageScores]:
        """Scores of the images in ascending order of id, of one category or of all.

        People of images that were never scored count as missed.
        """
        scores = []
        for image in self.truth.images.values():
            if image.id not in self._records:
                self.add(image, _NO_DETECTIONS)
            of_image = self._records[image.id].scores
            scores += [s for s in of_image if category is None or s.category == category]
        return scores

    def points(self) -> list[ImagePoints]:
        """Predictions at the annotated points, image by image."""
        self.images()
        return [points for key in self.truth.images for points in self._records[key].points]

    def num_detections(self) -> int:
        return sum(len(image.scores) for image in self.images())

    def matches(self) -> dict[str, dict[int, Matches]]:
        """Matches of each mode and category that has people or detections."""
        images = {category: self.images(category) for category in self.truth.categories}
        if self._matches is None:
            self._matches = {
                mode: {
                    category: match_dataset(own, mode, self.thresholds)
                    for category, own in images.items()
                    if own
                }
                for mode in MODES
                if mode == "iou" or self.has_gps
            }
        return self._matches

    def metrics(self) -> dict[str, dict[str, float]]:
        """AP and AR of each mode, between 0 and 1; -1 without ground truth.

        Without any detections, every metric is -1. With several categories, there is also an
        "AP-name" for each.
        """
        metrics = {}
        nothing = not self.num_detections()
        for mode, matches in self.matches().items():
            values = summarize(list(matches.values()), self.thresholds, self.truth.by_vertices)
            if len(matches) > 1:
                for category, own in matches.items():
                    name = f"AP-{self.truth.categories[category]}"
                    values[name] = summarize([own], self.thresholds, self.truth.by_vertices)["AP"]
            metrics[mode] = dict.fromkeys(values, -1.0) if nothing else values
        return metrics

    def intervals(self) -> dict[str, dict[str, tuple[float, float]]]:
        """The 95% interval of every AP over resampled images; empty without detections."""
        if not self.num_detections():
            return {}
        return {
            mode: bootstrap(list(matches.values()), self.thresholds)
            for mode, matches in self.matches().items()
        }
