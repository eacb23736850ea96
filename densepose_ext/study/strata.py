"""Groups the people of a test set by difficulty: size, occlusion, crowd, view, clothing and so on.

The groups are derived from COCO annotations: areas, keypoints, boxes and points; and from the list
of clothes that annotations of synthetic people have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pycocotools.mask as coco_mask

from ..evaluation.people import AnnotatedPerson
from ..evaluation.pointwise import SIZES
from ..evaluation.scorecard import Scorecard
from ..surface.parts import FINE_PART_NAMES
from ..synthetic.annotations import CLOTHING_KEY

#: Minimum IoU of the boxes of two people who are close to each other.
_TOUCHING = 0.05
_IS_BACK = np.array(["back" in name.split() for name in FINE_PART_NAMES])
_IS_FRONT = np.array(["front" in name.split() for name in FINE_PART_NAMES])

#: Words for clothes -> number of the stratum; the highest one counts.
_CLOTHING = {"tight": 0, "loose": 1, "short skirt": 2, "long skirt": 3}
_HEADGEAR = {"cap": 1, "beanie": 1, "helmet": 2}


@dataclass(frozen=True)
class _Record:
    """What a person's strata depend on.

    Attributes:
        person: the person. keypoints: (17, 3).
        near: number of others nearby. clothing: what is worn; None: not recorded.
    """

    person: AnnotatedPerson
    keypoints: np.ndarray
    near: int
    clothing: list[str] | None


#: Value of a person; nan: in no stratum.
_Rule = Callable[[_Record], float]


def _highest(numbers: dict[str, int]) -> _Rule:
    """The highest number of what a person wears; 0 if nothing has a number."""

    def rule(record: _Record) -> float:
        if record.clothing is None:
            return np.nan
        return max((numbers.get(word, 0) for word in record.clothing), default=0)

    return rule


#: Kind -> rule, and stratum -> its upper bound.
_KINDS: dict[str, tuple[_Rule, Mapping[str, float]]] = {
    "size": (lambda record: record.person.area, SIZES),
    "occlusion": (
        lambda record: _share(record.keypoints, 1, record.keypoints[:, 2] > 0),
        {"up to a third of the joints hidden": 1 / 3, "up to half": 0.5, "more": 1.0},
    ),
    "truncation": (
        lambda record: _share(record.keypoints, 0, np.ones(len(record.keypoints), bool)),
        {"all joints in the picture": 0.0, "up to a third outside": 1 / 3, "more": 1.0},
    ),
    "crowd": (
        lambda record: record.near,
        {"alone": 0.0, "one other near": 1.0, "more": np.inf},
    ),
    "view": (
        lambda record: _share_of_back(record.person),
        {"front": 1 / 3, "side": 2 / 3, "back": 1.0},
    ),
    "clothing": (_highest(_CLOTHING), _CLOTHING),
    "headgear": (_highest(_HEADGEAR), {"none": 0, "cap or beanie": 1, "helmet": 2}),
}
#: Kinds for which annotations have to record clothing.
_OF_CLOTHES = ("clothing", "headgear")


def strata(card: Scorecard) -> dict[str, dict[str, list[np.ndarray]]]:
    """
    Returns:
        kind -> stratum -> per image of ``card.images()``, which of its G people are in it (G,).
        Clothing and headgear are left out if no annotation records them.
    """
    annotations = {
        person["id"]: person for person in json.loads(card.truth.source.read_bytes())["annotations"]
    }
    kinds = {
        kind: rule_and_bounds
        for kind, rule_and_bounds in _KINDS.items()
        if kind not in _OF_CLOTHES or records_clothing(annotations.values())
    }
    members: dict[str, dict[str, list]] = {
        kind: {name: [] for name in bounds} for kind, (_, bounds) in kinds.items()
    }
    for image in card.images():
        people = [p for p in card.truth.people(image.image_id) if p.category == image.category]
        records = [
            _record(person, annotations[person.id], near)
            for person, near in zip(people, _neighbours(people))
        ]
        for kind, (rule, bounds) in kinds.items():
            values = [rule(record) for record in records]
            number = np.searchsorted(list(bounds.values()), values, side="left")
            for n, name in enumerate(bounds):
                members[kind][name].append(number == n)
    return members


def records_clothing(annotations: Iterable[dict]) -> bool:
    """Whether any annotation lists what the person wears."""
    return any(CLOTHING_KEY in person for person in annotations)


def _record(person: AnnotatedPerson, annotation: dict, near: int) -> _Record:
    seen = [0, 0, 2] * 17  # without keypoints, all joints count as visible
    keypoints = np.array(annotation.get("keypoints", seen)).reshape(-1, 3)
    return _Record(person, keypoints, near, annotation.get(CLOTHING_KEY))


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
