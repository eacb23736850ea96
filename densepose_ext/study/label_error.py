"""The errors of inexact labels of synthetic people, whose true labels are known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..evaluation.gps import geodesic_errors
from ..evaluation.pointwise import ImagePoints, PointMeasures, normalised_area
from ..processes.messages import counted
from ..surface.dense_target import DENSE_KEY
from ..surface.parts import FINE_TO_GROUP, GROUP_NAMES
from ..surface.surface import BodySurface

#: Number of sampled pixels of a teacher's target per person.
_PIXELS = 60


@dataclass(frozen=True)
class LabelError:
    """The error of one kind of label.

    Attributes:
        heading, note: what is compared.
        table: body group or "all" -> points, right_part, median_cm, within_5cm and so on, auc10,
            auc30.
    """

    heading: str
    note: str
    table: dict[str, dict]


def teacher_error(taught: Path, truth: Path) -> LabelError:
    """Compares targets at pixels that have both a true and a teacher's target.

    Args:
        taught: annotations written by a teacher. truth: the true ones, with dense targets.
    """
    rng = np.random.default_rng(0)
    surface = BodySurface.load()
    pictures: dict[int, list[Path]] = {}
    for path in (truth, taught):
        for person in json.loads(path.read_bytes())["annotations"]:
            if DENSE_KEY in person:
                pictures.setdefault(person["id"], []).append(path.parent / person[DENSE_KEY])
    images = []
    for number, paths in pictures.items():
        if len(paths) == 2:
            true, found = _pixels(*paths, rng)
            images.append(_person(number, surface, true, found))
    note = "Compared with the true targets, at pixels that have both."
    return LabelError("The teacher's own error", note, _table(images))


def annotators_error(by_hand: Path, truth: Path) -> LabelError:
    """Scores points with the errors of human annotators, as if they were predictions.

    Args:
        by_hand: annotations with such errors. truth: the true ones.
    """
    what = "Points with the errors of human annotators, who miss some parts"
    return _points_error("The annotators' own error", what, by_hand, truth)


def fitted_error(fitted: Path, truth: Path) -> LabelError:
    """Scores fitted bodies at the true points, as if they were predictions.

    Args:
        fitted: annotations with labels of fitted bodies. truth: the true ones.
    """
    what = "Bodies fitted to keypoints with the errors of human annotators"
    return _points_error("The fitted bodies' own error", what, fitted, truth)


def _points_error(heading: str, what: str, labelled: Path, truth: Path) -> LabelError:
    surface = BodySurface.load()
    labels = {
        person["id"]: _points(person)
        for person in json.loads(labelled.read_bytes())["annotations"]
        if "dp_x" in person
    }
    people = [p for p in json.loads(truth.read_bytes())["annotations"] if "dp_x" in p]
    images = []
    for person in people:
        if person["id"] in labels:
            points, own = _points(person), labels[person["id"]]
            background = np.zeros(3, np.uint8)
            found = np.array([own.get(place, background) for place in points]).T
            true = np.array(list(points.values())).T
            images.append(_person(person["id"], surface, true, found))
    missing = np.mean(np.concatenate([image.predicted for image in images]) == 0)
    note = f"{what}, scored at the true points of {counted(len(images), 'person')}"
    if len(images) < len(people):
        note += f" ({counted(len(people) - len(images), 'other')} without such labels)"
    note += f". The {missing:.1%} of these points that have no label count as wrong."
    return LabelError(heading, note, _table(images))


def _pixels(
    true_path: Path, taught_path: Path, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """I, U * 255, V * 255 (3, P) of sampled pixels of one person, true and taught."""
    true, taught = (cv2.imread(str(path))[:, :, ::-1] for path in (true_path, taught_path))
    shown = np.flatnonzero((true[:, :, 0] > 0) & (taught[:, :, 0] > 0))
    chosen = rng.permutation(shown)[:_PIXELS]
    return true.reshape(-1, 3)[chosen].T, taught.reshape(-1, 3)[chosen].T


def _points(person: dict) -> dict[tuple[float, float], np.ndarray]:
    """Position of each annotated point -> I, U * 255, V * 255."""
    uv = np.rint(np.array([person["dp_U"], person["dp_V"]]) * 255)
    iuv = np.stack([person["dp_I"], *uv], 1).astype(np.uint8)
    return dict(zip(zip(person["dp_x"], person["dp_y"]), iuv))


def _person(number: int, surface: BodySurface, true: np.ndarray, found: np.ndarray) -> ImagePoints:
    """The points of one person, as if they were an image; I, U * 255, V * 255 of shape (3, P)."""
    errors = np.zeros(0, np.float32)
    if true.shape[1]:
        i, u, v = true
        vertices = surface.closest_vertex(i.astype(np.int64), u / 255, v / 255)
        errors = geodesic_errors(surface, vertices, found).astype(np.float32)
    return ImagePoints(
        image_id=number,
        person_ids=[number],
        found=np.ones(1, bool),
        gps=np.zeros(1),
        mask_iou=np.zeros(1),
        areas=np.full(1, float(true.shape[1])),
        visible=np.ones(1),
        person=np.zeros(true.shape[1], np.uint16),
        true=true[0],
        predicted=found[0],
        errors=errors,
    )


def _table(images: list[ImagePoints]) -> dict[str, dict]:
    measures = PointMeasures(images)
    groups = FINE_TO_GROUP[measures.true]
    chosen = {"all": np.ones(len(groups), bool)}
    chosen |= {name: groups == g for g, name in enumerate(GROUP_NAMES) if g}
    return {
        name: measures.shares(where)
        | {f"auc{bound}": normalised_area(measures.errors[where], bound) for bound in (10, 30)}
        for name, where in chosen.items()
    }
