"""Resizes people together with their picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch

from ..structures import Person
from .people import People


def resized_people(people: People, size: tuple[int, int]) -> People:
    """The same people in a picture of another size.

    By nearest neighbour (OpenCV's INTER_NEAREST_EXACT), since neither parts nor U, V of different
    parts can be averaged: drawings of the result are drawings of ``people``, resized that way.
    Whatever lies outside the picture is cut off; a person with no pixel left gets one of
    background.

    Args:
        size: (height, width) of the other picture.
    """
    if size == people.size:
        return people
    rows, columns = (_nearest(old, new) for old, new in zip(people.size, size))
    scale = np.array(size[::-1]) / np.array(people.size[::-1])
    return People([_resized(person, rows, columns, scale) for person in people], size)


def _nearest(old: int, new: int) -> np.ndarray:
    """The old row (or column) at the centre of each new one, rounded as in OpenCV."""
    places = np.arange(old, dtype=np.float32)[None]
    how = cv2.INTER_NEAREST_EXACT
    return cv2.resize(places, (new, 1), interpolation=how)[0].astype(np.int64)


def _resized(person: Person, rows: np.ndarray, columns: np.ndarray, scale: np.ndarray) -> Person:
    height, width = person.result.labels.shape
    left, top = person.corner
    new_rows = np.flatnonzero((rows >= top) & (rows < top + height))
    new_columns = np.flatnonzero((columns >= left) & (columns < left + width))
    if len(new_rows) and len(new_columns):
        own_rows = torch.from_numpy(rows[new_rows] - top)[:, None]
        own_columns = torch.from_numpy(columns[new_columns] - left)
        result = person.result.map(lambda values: values[..., own_rows, own_columns])
        corner = [new_columns[0], new_rows[0]]
    else:
        result = person.result.map(lambda values: torch.zeros_like(values[..., :1, :1]))
        corner = np.floor(person.box[:2] * scale).tolist()
    new_height, new_width = result.labels.shape
    box = np.array([*corner, corner[0] + new_width, corner[1] + new_height], np.float32)
    mask, keypoints = person.mask, person.keypoints
    if mask is not None:
        mask = mask[rows[:, None], columns]
    if keypoints is not None:
        keypoints = keypoints.copy()
        keypoints[:, :2] *= scale.astype(np.float32)
    return replace(person, box=box, result=result, mask=mask, keypoints=keypoints)


def resized_picture(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3) uint8 in another size, (height, width), without aliasing."""
    smaller = size[0] < picture.shape[0] or size[1] < picture.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(picture, (size[1], size[0]), interpolation=how)
