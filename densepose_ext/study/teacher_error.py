"""The error of a teacher's dense targets on synthetic people, whose true targets are known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from ..evaluation.gps import geodesic_errors
from ..evaluation.pointwise import ImagePoints, PointMeasures
from ..surface.dense_target import DENSE_KEY
from ..surface.surface import BodySurface

#: Number of sampled pixels per person.
_PIXELS = 60


def teacher_error(taught: Path, truth: Path) -> dict[str, dict]:
    """Compares targets at pixels that have both a true and a teacher's target.

    Args:
        taught: annotations written by a teacher. truth: the true ones, with dense targets.

    Returns:
        body group or "all" -> points, right_part, median_cm, within_5cm and so on.
    """
    rng = np.random.default_rng(0)
    surface = BodySurface.load()
    pictures: dict[int, list[Path]] = {}
    for path in (truth, taught):
        for person in json.loads(path.read_bytes())["annotations"]:
            if DENSE_KEY in person:
                pictures.setdefault(person["id"], []).append(path.parent / person[DENSE_KEY])
    images = [
        _points(*paths, number, surface, rng)
        for number, paths in pictures.items()
        if len(paths) == 2
    ]
    measures = PointMeasures(images)
    everywhere = measures.shares(np.ones(len(measures.true), bool))
    return {"all": everywhere, **measures.tables()["by_group"]}


def _points(
    true_path: Path, taught_path: Path, number: int, surface: BodySurface, rng: np.random.Generator
) -> ImagePoints:
    """The points of one person, as if they were an image."""
    true, taught = (cv2.imread(str(path))[:, :, ::-1] for path in (true_path, taught_path))
    shown = np.flatnonzero((true[:, :, 0] > 0) & (taught[:, :, 0] > 0))
    chosen = rng.permutation(shown)[:_PIXELS]
    of_true, of_taught = true.reshape(-1, 3)[chosen].T, taught.reshape(-1, 3)[chosen].T
    errors = np.zeros(0, np.float32)
    if len(chosen):
        i, u, v = of_true
        vertices = surface.closest_vertex(i.astype(np.int64), u / 255, v / 255)
        errors = geodesic_errors(surface, vertices, of_taught).astype(np.float32)
    return ImagePoints(
        image_id=number,
        person_ids=[number],
        found=np.ones(1, bool),
        gps=np.zeros(1),
        mask_iou=np.zeros(1),
        areas=np.full(1, float(len(shown))),
        visible=np.ones(1),
        person=np.zeros(len(chosen), np.uint16),
        true=of_true[0],
        predicted=of_taught[0],
        errors=errors,
    )
