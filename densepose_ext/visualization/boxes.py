"""Draws boxes, scores and keypoints. All pictures are BGR (H, W, 3) uint8."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Person
from .compose import check_picture, from_below
from .palette import person_colour
from .text import text_mask, write_text

#: Pairs of COCO keypoints that are joined by a line.
BONES = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (7, 9),
    (6, 8), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip


def draw_boxes(
    picture: np.ndarray,
    people: Sequence[Person],
    identities: Sequence[int] | None = None,
    scores: bool = True,
) -> np.ndarray:
    """Draws each person's box, with a label at its upper left corner.

    Args:
        identities: of tracked people; they set the colours, and are written on the labels.
        scores: whether to write scores.
    """
    check_picture(picture)
    drawn = picture.copy()
    height, width = picture.shape[:2]
    thick = 1 + (min(height, width) >= 400) + min(height, width) // 1000
    tags = []
    for n in from_below(people):
        person, name = people[n], n if identities is None else identities[n]
        colour = person_colour(name)[::-1]
        # OpenCV's coordinates would overflow far outside the picture
        x0, y0, x1, y1 = np.clip(person.box, -width - height, 2 * (width + height))
        corner = round(float(x0)), round(float(y0))
        # the box ends where its last pixel does
        end = max(round(float(x1)) - 1, corner[0]), max(round(float(y1)) - 1, corner[1])
        cv2.rectangle(drawn, corner, end, colour, thick)
        words = [f"#{name}"] if identities is not None else []
        words += [f"{person.score:.2f}"] if scores else []
        tags.append((" ".join(words), corner, colour))
    for text, corner, colour in tags:
        if text:
            _tag(drawn, text, corner, colour, thick)
    return drawn


def _tag(
    picture: np.ndarray,
    text: str,
    corner: tuple[int, int],
    colour: tuple[int, int, int],
    thick: int,
) -> None:
    """Draws a label above the corner of a box, or inside if there is no room above."""
    size = 9 + 3 * thick
    text_height, text_width = text_mask(text, size).shape
    x = min(max(corner[0] - thick // 2, 0), max(picture.shape[1] - text_width - 6, 0))
    y = corner[1] - thick // 2 - text_height
    if y < 0:
        y = max(corner[1], 0)
    cv2.rectangle(picture, (x, y), (x + text_width + 5, y + text_height - 1), colour, -1)
    write_text(picture, text, (x + 3, y), size, (20, 20, 20))


def draw_keypoints(
    picture: np.ndarray,
    people: Sequence[Person],
    identities: Sequence[int] | None = None,
    threshold: float = 0.05,
) -> np.ndarray:
    """Draws keypoints, and lines between them, for people who have any.

    Args:
        identities: of tracked people; they set the colours.
        threshold: keypoints with a lower score are left out.
    """
    check_picture(picture)
    drawn = picture.copy()
    thick = max(2, round(min(picture.shape[:2]) / 300))
    limit = 2 * sum(picture.shape[:2])
    for n in from_below(people):
        keypoints = people[n].keypoints
        if keypoints is None:
            continue
        colour = person_colour(n if identities is None else identities[n])[::-1]
        shift = 4  # coordinates in 1/16 pixel, as OpenCV takes them; pixel centres are whole
        at = np.rint((np.clip(keypoints[:, :2], -limit, limit) - 0.5) * (1 << shift)).astype(int)
        seen = keypoints[:, 2] >= threshold
        for a, b in BONES:
            if seen[a] and seen[b]:
                ends = tuple(at[a].tolist()), tuple(at[b].tolist())
                cv2.line(drawn, *ends, colour, thick, cv2.LINE_AA, shift)
        for point in at[seen].tolist():
            cv2.circle(drawn, point, (thick + 1) << shift, (255, 255, 255), -1, cv2.LINE_AA, shift)
            cv2.circle(drawn, point, thick << shift, colour, -1, cv2.LINE_AA, shift)
    return drawn
