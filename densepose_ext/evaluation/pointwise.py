"""Part accuracy and geodesic error at the annotated points, over all and by part.

AP measures detection and dense pose together. The measures here are over the points of detected
people only: a person is detected by the highest-scoring detection with a box IoU of at least .5,
whatever its dense pose. A point on predicted background counts as a wrong part with an infinite
error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..surface.parts import (
    FINE_MIRROR,
    FINE_PART_NAMES,
    FINE_TO_COARSE,
    FINE_TO_GROUP,
    GROUP_NAMES,
    NUM_COARSE_PARTS,
)
from .people import AnnotatedPerson
from .scoring import ImageScores, PointPredictions

#: Box IoU at which a detection counts as that of a person.
FOUND_IOU = 0.5

#: Errors, in centimetres, for which the share of points within them is reported.
WITHIN_CM = (5, 10, 30)

#: Thresholds of the curve of correct points, in centimetres.
CURVE_CM = np.linspace(0, 30, 61)

#: Sizes of people by area in pixels: up to the bound.
SIZES = {"small": 32.0**2, "medium": 96.0**2, "large": np.inf}

#: Visible share of the body, as the share of the 14 coarse parts with a point: up to the bound.
VISIBILITIES = {"up to half": 0.5, "half to three quarters": 0.75, "more": 1.0}

#: Sides of the body that distinguish parts of the same name.
SIDES = ("front", "back", "left", "right")


def match_by_box(box_iou: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The detection that finds each person.

    Args:
        box_iou: (D, G), detections best first. wanted: (G,) bool, people to be found.

    Returns:
        (G,) int: index of the detection; -1: none.
    """
    chosen = np.full(len(wanted), -1)
    free = wanted.copy()
    for d, overlap in enumerate(box_iou):
        near = np.flatnonzero(free & (overlap >= FOUND_IOU))
        if len(near):
            person = near[overlap[near].argmax()]
            chosen[person], free[person] = d, False
    return chosen


def normalised_area(errors: np.ndarray, bound_cm: float) -> float | None:
    """Area under the curve of correct points up to an error, 0-1; None without points.

    Args:
        errors: (P,) metres, infinite on background.
    """
    if not len(errors):
        return None
    # The integral of a step function that rises by one point at each error.
    return float(np.clip(1 - errors * 100 / bound_cm, 0, None).mean())


@dataclass
class ImagePoints:
    """The points of the people with dense pose in one image, except crowds. G people, P points.

    People on a mesh without parts are left out, since all tables are by part.

    Attributes:
        image_id: of the image. person_ids: G ids.
        found: (G,) bool: detected. gps, mask_iou: (G,), 0 for missed people.
        areas: (G,) in pixels. visible: (G,) share of the coarse parts with a point.
        person: (P,) index of the person of each point, 0..G - 1.
        true, predicted: (P,) uint8, parts; predicted is 0 on background and for missed people.
        errors: (P,) float32, metres, infinite on background; nan if there is no surface.
    """

    image_id: int | str
    person_ids: list[int | str]
    found: np.ndarray
    gps: np.ndarray
    mask_iou: np.ndarray
    areas: np.ndarray
    visible: np.ndarray
    person: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(
        cls,
        people: Sequence[AnnotatedPerson],
        scores: ImageScores,
        predictions: PointPredictions,
        chosen: np.ndarray,
    ) -> ImagePoints:
        """The points of the people who count, with the predictions of their detections.

        Args:
            people: G, of one image and category.
            scores, predictions: of their detections.
            chosen: (G,) index of the detection of each person; -1: none.
        """
        has_parts = np.array([person.parts.all() for person in people], bool)
        kept = np.flatnonzero(scores.has_points & ~scores.crowd & has_parts)
        found = chosen[kept] >= 0
        detection = chosen[kept][found]
        gps, mask_iou = np.zeros((2, len(kept)))
        gps[found] = scores.gps[detection, kept[found]]
        mask_iou[found] = scores.mask_iou[detection, kept[found]]

        number = np.full(len(people), -1)
        number[kept] = np.arange(len(kept))
        of_kept = number[predictions.person] >= 0
        source = chosen[predictions.person[of_kept]]
        columns = np.flatnonzero(of_kept)
        predicted = np.zeros(len(columns), np.uint8)
        errors = np.full(len(columns), np.inf, np.float32)
        seen = source >= 0
        predicted[seen] = predictions.parts[source[seen], columns[seen]]
        errors[seen] = predictions.errors[source[seen], columns[seen]]
        return cls(
            image_id=scores.image_id,
            person_ids=[people[g].id for g in kept],
            found=found,
            gps=gps,
            mask_iou=mask_iou,
            areas=scores.areas[kept],
            visible=np.array([_visible_share(people[g].parts) for g in kept]),
            person=number[predictions.person[of_kept]].astype(np.uint16),
            true=(
                np.concatenate([people[g].parts for g in kept])
                if len(kept)
                else np.zeros(0, np.uint8)
            ),
            predicted=predicted,
            errors=errors,
        )


def _visible_share(parts: np.ndarray) -> float:
    return len(np.unique(FINE_TO_COARSE[parts])) / NUM_COARSE_PARTS


class PointMeasures:
    """Statistics over the points of a dataset. G people, P points."""

    def __init__(self, images: Sequence[ImagePoints], has_gps: bool = True):
        """
        Args:
            images: the points of each image.
            has_gps: whether there was a surface; if not, errors and similarities are left out.
        """

        def joined(name: str, dtype: type) -> np.ndarray:
            values = [getattr(image, name) for image in images]
            return np.concatenate(values).astype(dtype) if values else np.zeros(0, dtype)

        counts = [len(image.person_ids) for image in images]
        offsets = np.cumsum([0, *counts])
        self.image_ids = [image.image_id for image in images for _ in image.person_ids]
        self.person_ids = [person for image in images for person in image.person_ids]
        self.found = joined("found", bool)
        self.gps, self.mask_iou = joined("gps", float), joined("mask_iou", float)
        self.areas, self.visible = joined("areas", float), joined("visible", float)
        person = [image.person.astype(np.int64) + offset for image, offset in zip(images, offsets)]
        self.person = np.concatenate(person) if person else np.zeros(0, np.int64)
        self.true, self.predicted = joined("true", np.int64), joined("predicted", np.int64)
        self.errors = joined("errors", np.float64)
        self.scored = self.found[self.person]
        self.has_gps = has_gps

    def shares(self, chosen: np.ndarray) -> dict[str, float | int | None]:
        """Measures over the chosen points of people who were found.

        Args:
            chosen: (P,) bool.

        Returns:
            points; right_part; with a surface median_cm (None if over half of the points are on
            background), within_5cm and so on. None without points.
        """
        chosen = chosen & self.scored
        count = int(chosen.sum())
        right = self.true[chosen] == self.predicted[chosen]
        table: dict[str, float | int | None] = {
            "points": count,
            "right_part": float(right.mean()) if count else None,
        }
        if self.has_gps:
            errors = self.errors[chosen] * 100
            # Not interpolated, since one of the two middle values may be infinite.
            median = float(np.quantile(errors, 0.5, method="lower")) if count else np.inf
            table["median_cm"] = median if np.isfinite(median) else None
            for bound in WITHIN_CM:
                table[f"within_{bound}cm"] = float((errors <= bound).mean()) if count else None
        return table

    def curve(self) -> dict[str, list[float] | float | None]:
        """Share of points within each error, and the normalised area under it to 10 and 30 cm.

        The pointwise measure of the paper (section 5.1), over the points of the people found.
        """
        errors = self.errors[self.scored] * 100
        if not len(errors) or not self.has_gps:
            return {"threshold_cm": None, "share": None, "auc10": None, "auc30": None}
        share = np.searchsorted(np.sort(errors), CURVE_CM, side="right") / len(errors)
        areas = {f"auc{bound}": normalised_area(errors / 100, bound) for bound in (10, 30)}
        return {"threshold_cm": CURVE_CM.tolist(), "share": share.tolist(), **areas}

    def confusion(self) -> np.ndarray:
        """Points by true part (rows 1..24) and predicted part (columns, 0 for background).

        Returns:
            (24, 25) int.
        """
        table = np.zeros((len(FINE_PART_NAMES), len(FINE_PART_NAMES)), np.int64)
        np.add.at(table, (self.true[self.scored], self.predicted[self.scored]), 1)
        return table[1:]

    def people(self, chosen: np.ndarray) -> dict[str, float | int | None]:
        """Measures over the chosen people: number, share detected, mean GPS (0 for missed people).

        Args:
            chosen: (G,) bool.
        """
        count = int(chosen.sum())
        table = {"people": count, "found": float(self.found[chosen].mean()) if count else None}
        if self.has_gps:
            table["mean_gps"] = float(self.gps[chosen].mean()) if count else None
        return table | self.shares(chosen[self.person])

    def tables(self) -> dict:
        """All measures, as JSON values."""
        parts, groups = FINE_PART_NAMES, GROUP_NAMES
        return {
            **self.people(np.ones(len(self.found), bool)),
            "curve": self.curve(),
            "by_part": {parts[i]: self.shares(self.true == i) for i in range(1, len(parts))},
            "by_group": {
                groups[g]: self.shares(FINE_TO_GROUP[self.true] == g) for g in range(1, len(groups))
            },
            "by_side": {side: self.shares(np.isin(self.true, _parts_with(side))) for side in SIDES},
            "by_size": self._bins(self.areas, SIZES),
            "by_visible_share": self._bins(self.visible, VISIBILITIES),
            "confusion": self.confusion().tolist(),
        }

    def _bins(self, values: np.ndarray, bounds: dict[str, float]) -> dict[str, dict]:
        number = np.searchsorted(list(bounds.values()), values, side="left")
        return {name: self.people(number == n) for n, name in enumerate(bounds)}

    def ranked(self, count: int, worst: bool = True) -> list[dict]:
        """The detected people with the lowest (or highest) GPS; of equals, the larger first.

        Empty without a surface, since there is no GPS.

        Returns:
            dicts with image_id, person_id, gps, mask_iou, area, and ``what``, the commonest error.
        """
        if not self.has_gps:
            return []
        order = np.lexsort((-self.areas, self.gps if worst else -self.gps))
        return self._entries([g for g in order if self.found[g]][:count])

    def missed(self, count: int) -> list[dict]:
        """The largest missed people, in the format of :meth:`ranked`."""
        order = np.argsort(-self.areas, kind="stable")
        return self._entries([g for g in order if not self.found[g]][:count])

    def _entries(self, people: Sequence[int]) -> list[dict]:
        return [
            {
                "image_id": self.image_ids[g],
                "person_id": self.person_ids[g],
                "gps": float(self.gps[g]),
                "mask_iou": float(self.mask_iou[g]),
                "area": float(self.areas[g]),
                "what": self._trouble(g),
            }
            for g in people
        ]

    def _trouble(self, person: int) -> str:
        """The commonest error of a person's points."""
        if not self.found[person]:
            return "not found"
        own = self.person == person
        true, predicted = self.true[own], self.predicted[own]
        if not len(true):
            return "no points"
        troubles = {
            "background": predicted == 0,
            "left and right exchanged": (predicted == FINE_MIRROR[true]) & (predicted != true),
            "front and back exchanged": (predicted != true)
            & (predicted > 0)
            & (FINE_TO_COARSE[predicted] == FINE_TO_COARSE[true]),
            "another part": (predicted > 0) & (FINE_TO_COARSE[predicted] != FINE_TO_COARSE[true]),
            "right part": predicted == true,
        }
        troubles["another part"] &= ~troubles["left and right exchanged"]
        shares = {name: float(where.mean()) for name, where in troubles.items()}
        name = max(shares, key=lambda trouble: shares[trouble])
        return f"{name} at {shares[name]:.0%} of the points"


def _parts_with(word: str) -> np.ndarray:
    return np.array([i for i, name in enumerate(FINE_PART_NAMES) if word in name.split()])
