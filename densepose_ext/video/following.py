"""Follows one person through a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ..prediction.stream import Frame, predict_frames
from ..structures import Person
from .tracking import Tracker

if TYPE_CHECKING:
    from ..prediction.opening import Predictor


def follow_person(
    frames: Iterable[Frame], predictor: Predictor, number: int = 1, every: int = 1
) -> Iterator[tuple[np.ndarray, Person]]:
    """Yields the pictures (H, W, 3) uint8 BGR in which a person is found, and the person.

    Args:
        frames: of a video.
        number: which person, from 1, by score in the first frame with that many people.
        every: one of this many frames is used.

    Raises:
        ValueError: a number is below 1.
    """
    if number < 1 or every < 1:
        raise ValueError(f"person {number} of every {every} frames; expected 1 or more of both")
    tracker, identity = Tracker(), None
    for frame, people in predict_frames(islice(frames, 0, None, every), predictor.batch):
        identities = tracker.update(people)
        if identity is None and len(people) >= number:
            identity = identities[number - 1]
        if identity in identities:
            yield frame.picture, people[identities.index(identity)]
