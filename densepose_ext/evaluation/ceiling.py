"""The highest scores that a results file can reach on a dataset.

A results file has 8-bit I, U and V for each pixel, and at most 20 detections per image count. So
even the ground truth, written as a results file, scores less than 1.0: an upper bound for every
model on that dataset.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import distance_transform_edt

from .detections import ArrayMaps, Detections
from .people import AnnotatedPerson, GroundTruth, Image


def truth_as_detections(truth: GroundTruth, image: Image) -> Detections:
    """The people of an image with dense pose, as detections of score 1."""
    people = [person for person in truth.people(image.id) if person.has_points]
    boxes = [_box(person) for person in people]
    return Detections.best_first(
        np.array(boxes),
        np.ones(len(people)),
        np.array([person.category for person in people], int),
        ArrayMaps([lambda p=person, b=box: true_iuv(p, b) for person, box in zip(people, boxes)]),
    )


def _box(person: AnnotatedPerson) -> np.ndarray:
    """The person's box grown to whole pixels, with the pixels of points on its last edges."""
    x, y, w, h = person.box
    x0, y0 = math.floor(x), math.floor(y)
    return np.array([x0, y0, math.floor(x + w) + 1 - x0, math.floor(y + h) + 1 - y0], float)


def true_iuv(person: AnnotatedPerson, box: np.ndarray) -> np.ndarray:
    """The annotation of a person as an IUV map of a results file.

    Each annotated point sets the pixel that it lies in; if several do, the last. Other pixels of
    the mask copy the nearest of these; the rest is background.

    Args:
        person: as annotated.
        box: of the map, xywh in whole pixels, around all points.

    Returns:
        uint8, (3, h, w): I, U * 255, V * 255, truncated.
    """
    x, y, width, height = box.astype(int)
    iuv = np.zeros((3, height, width), np.uint8)
    px, py = (person.x - x).astype(int), (person.y - y).astype(int)
    inside = (px >= 0) & (px < width) & (py >= 0) & (py < height)
    px, py = px[inside], py[inside]
    iuv[0, py, px] = person.parts[inside]
    for channel, values in ((1, person.u), (2, person.v)):
        iuv[channel, py, px] = (values[inside].clip(0, 1) * 255).astype(np.uint8)
    if not len(px):
        return iuv
    nearest = distance_transform_edt(iuv[0] == 0, return_distances=False, return_indices=True)
    dense = iuv[:, nearest[0], nearest[1]]
    mask = person.mask()
    silhouette = np.zeros((height, width), bool)
    # The mask covers the image, the map the box, which may extend beyond the image.
    rows = np.arange(height) + y - mask.y
    columns = np.arange(width) + x - mask.x
    in_rows = (rows >= 0) & (rows < mask.pixels.shape[0])
    in_columns = (columns >= 0) & (columns < mask.pixels.shape[1])
    silhouette[np.ix_(in_rows, in_columns)] = mask.pixels[
        np.ix_(rows[in_rows], columns[in_columns])
    ]
    return np.where(silhouette | (iuv[0] > 0), dense, 0)
