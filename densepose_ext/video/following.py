"""One person through a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from ..prediction.predictor import DensePosePredictor
from ..prediction.stream import Frame, predict_frames
from ..structures import Person
from .tracking import Tracker


def follow_person(
    frames: Iterable[Frame], predictor: DensePosePredictor, number: int = 1, every: int = 1
) -> Iterator[tuple[np.ndarray, Person]]:
    """Yields the pictures, (H, W, 3) uint8 BGR, in which somebody is seen, with that person.

    Args:
        frames: of a video.
        number: who, from 1: people of the first frame with at least as many, the best score first.
        every: of so many frames one is looked at.

    Raises:
        ValueError: for numbers below 1.
    """
    if number < 1 or every < 1:
        raise ValueError(f"person {number} of every {every} frames; expected 1 or more of both")
    tracker, identity = Tracker(), None
    for frame, people in predict_frames(islice(frames, 0, None, every), predictor):
        identities = tracker.update(people)
        if identity is None and len(people) >= number:
            identity = identities[number - 1]
        if identity in identities:
            yield frame.picture, people[identities.index(identity)]
