"""Composes the people of a picture into one map: the person at each pixel, and I, U, V.

Where people overlap, the one with the higher score is on top; of equal scores, the earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ..structures import Person


def compose_iuv(people: Sequence[Person], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """I, U, V of all people in one picture, and the person at each pixel.

    Values are those of results files: U and V clamped to [0, 1], times 255, truncated.

    Args:
        people: in any order; boxes may reach beyond the picture.
        size: (H, W) of the picture.

    Returns:
        (H, W, 3) uint8: I, U * 255, V * 255 in channels 0, 1, 2, which are R, G, B of a PNG
        (``cv2.imwrite`` takes ``iuv[..., ::-1]``); 0 on background.
        (H, W) uint8, or uint16 for more than 255 people: 0 on background, else the person's place
        in ``people``, from 1.
    """
    iuv = np.zeros((*size, 3), np.uint8)
    instances = np.zeros(size, np.uint8 if len(people) < 256 else np.uint16)
    for n, inside, labels in stacked(people, size):
        box_iuv = people[n].result.iuv_uint8().permute(1, 2, 0).numpy()
        on = labels[inside.of_labels]
        cv2.copyTo(box_iuv[inside.of_labels], on, iuv[inside.of_picture])
        instances[inside.of_picture][on > 0] = n + 1
    return iuv, instances


def compose_index(people: Sequence[Person], size: tuple[int, int]) -> np.ndarray:
    """The person at each pixel of a picture of ``size``: 0 on background, else the place from 1.

    uint8, or uint16 for more than 255 people.
    """
    index = np.zeros(size, np.uint8 if len(people) < 256 else np.uint16)
    for n, inside, labels in stacked(people, size):
        index[inside.of_picture][labels[inside.of_labels] > 0] = n + 1
    return index


def compose_labels(people: Sequence[Person], size: tuple[int, int]) -> np.ndarray:
    """Fine part (H, W) uint8 of each pixel of a picture of ``size``, 0 on background."""
    parts = np.zeros(size, np.uint8)
    for _, inside, labels in stacked(people, size):
        own = labels[inside.of_labels]
        cv2.copyTo(own, own, parts[inside.of_picture])
    return parts


class Overlap:
    """The pixels that a person's labels and a picture share.

    Attributes:
        of_picture, of_labels: their rows and columns, as slices, in either array.
    """

    __slots__ = ("of_labels", "of_picture")

    def __init__(self, rows: slice, columns: slice, corner: tuple[int, int]):
        x, y = corner
        self.of_picture = rows, columns
        self.of_labels = (
            slice(rows.start - y, rows.stop - y),
            slice(columns.start - x, columns.stop - x),
        )


def overlap_of(person: Person, size: tuple[int, int]) -> Overlap | None:
    """The part of a person's labels inside a picture of (H, W); None if there is none."""
    height, width = person.result.labels.shape
    x, y = person.corner
    rows = slice(max(y, 0), min(y + height, size[0]))
    columns = slice(max(x, 0), min(x + width, size[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    return Overlap(rows, columns, (x, y))


def from_below(people: Sequence[Person]) -> list[int]:
    """Indices of the people in drawing order: the lowest score first."""
    return sorted(range(len(people)), key=lambda n: (people[n].score, -n))


def stacked(
    people: Sequence[Person], size: tuple[int, int]
) -> Iterator[tuple[int, Overlap, np.ndarray]]:
    """Yields index, visible part and labels (h, w) of the people in the picture, topmost last."""
    for n in from_below(people):
        found = overlap_of(people[n], size)
        if found is not None:
            yield n, found, people[n].result.labels.numpy()


def extent(people: Sequence[Person], size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of a picture of (H, W) that contain all people; None if there are none."""
    overlaps = (overlap_of(person, size) for person in people)
    places = [overlap.of_picture for overlap in overlaps if overlap is not None]
    if not places:
        return None
    return tuple(
        slice(min(p[axis].start for p in places), max(p[axis].stop for p in places))
        for axis in (0, 1)
    )


def check_picture(picture: np.ndarray) -> None:
    """Raises ValueError if it is not a picture (H, W, 3) uint8."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"the picture is {picture.dtype} of shape {picture.shape}; expected uint8 (H, W, 3)"
        )


def check_alpha(alpha: float) -> None:
    """Raises ValueError if alpha is not in [0, 1]."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; expected 0 to 1")
