"""Groups the people of a test set by difficulty: size, occlusion, truncation, crowd and view.

The groups are derived from COCO annotations: areas, keypoints, boxes and points.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pycocotools.mask as coco_mask

from ..evaluation.people import AnnotatedPerson
from ..evaluation.pointwise import SIZES
from ..evaluation.scorecard import Scorecard
from ..surface.parts import FINE_PART_NAMES

#: Minimum IoU of the boxes of two people who are close to each other.
_TOUCHING = 0.05
_IS_BACK = np.array(["back" in name.split() for name in FINE_PART_NAMES])
_IS_FRONT = np.array(["front" in name.split() for name in FINE_PART_NAMES])

#: (person, keypoints (17, 3), number of others nearby) -> value.
_Rule = Callable[[AnnotatedPerson, np.ndarray, int], float]

#: Kind -> rule, and stratum -> its upper bound.
_KINDS: dict[str, tuple[_Rule, dict[str, float]]] = {
    "size": (lambda person, keypoints, near: person.area, SIZES),
    "occlusion": (
        lambda person, keypoints, near: _share(keypoints, 1, keypoints[:, 2] > 0),
        {"up to a third of the joints hidden": 1 / 3, "up to half": 0.5, "more": 1.0},
    ),
    "truncation": (
        lambda person, keypoints, near: _share(keypoints, 0, np.ones(len(keypoints), bool)),
        {"all joints in the picture": 0.0, "up to a third outside": 1 / 3, "more": 1.0},
    ),
    "crowd": (
        lambda person, keypoints, near: near,
        {"alone": 0.0, "one other near": 1.0, "more": np.inf},
    ),
    "view": (
        lambda person, keypoints, near: _share_of_back(person),
        {"front": 1 / 3, "side": 2 / 3, "back": 1.0},
    ),
}


def strata(card: Scorecard) -> dict[str, dict[str, list[np.ndarray]]]:
    """
    Returns:
        kind -> stratum -> per image of ``card.images()``, which of its G people are in it (G,).
    """
    keypoints = _keypoints(card)
    members: dict[str, dict[str, list]] = {
        kind: {name: [] for name in bounds} for kind, (_, bounds) in _KINDS.items()
    }
    for image in card.images():
        people = [p for p in card.truth.people(image.image_id) if p.category == image.category]
        near = _neighbours(people)
        for kind, (rule, bounds) in _KINDS.items():
            values = [rule(p, keypoints[p.id], n) for p, n in zip(people, near)]
            number = np.searchsorted(list(bounds.values()), values, side="left")
            for n, name in enumerate(bounds):
                members[kind][name].append(number == n)
    return members


def _keypoints(card: Scorecard) -> dict[int | str, np.ndarray]:
    """(17, 3) keypoints by annotation; without keypoints, all joints count as visible."""
    contents = json.loads(card.truth.source.read_bytes())
    seen = [0, 0, 2] * 17
    return {
        person["id"]: np.array(person.get("keypoints", seen)).reshape(-1, 3)
        for person in contents["annotations"]
    }


def _share(keypoints: np.ndarray, visibility: int, among: np.ndarray) -> float:
    chosen = keypoints[among, 2]
    return float((chosen == visibility).mean()) if len(chosen) else 1.0


def _share_of_back(person: AnnotatedPerson) -> float:
    """Share of a person's points on back parts, among points on front and back parts."""
    back, front = _IS_BACK[person.parts].sum(), _IS_FRONT[person.parts].sum()
    return float(back / (back + front)) if back + front else 0.5


def _neighbours(people: list[AnnotatedPerson]) -> np.ndarray:
    """How many others each person's box overlaps."""
    if not people:
        return np.zeros(0, int)
    boxes = np.array([person.box for person in people], float)
    iou = coco_mask.iou(boxes, boxes, np.zeros(len(boxes), np.uint8))
    return (np.asarray(iou) >= _TOUCHING).sum(1) - 1
