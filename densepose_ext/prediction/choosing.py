"""Chooses people in a picture or video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .people import People

#: The possible choices.
CHOICES = ("all", "largest", "centre")


def chosen(people: People, which: str) -> People:
    """The chosen people of a picture.

    Args:
        which: "all"; "largest": the person to whom most pixels belong, so not a detection of two
            people who are found one by one with better scores; or "centre": the person whose box is
            nearest to the centre of the picture.
    """
    best = _best(people, which)
    return people if best is None else people[best : best + 1]


class Follower:
    """Chooses a person in a video, and keeps to the same person as long as they are seen."""

    def __init__(self, which: str):
        self._which = which
        self._identity: int | None = None

    def __call__(self, people: People, identities: Sequence[int]) -> tuple[People, list[int]]:
        """The chosen people of the next frame, and their identities."""
        if self._identity not in identities:
            best = _best(people, self._which)
            if best is None:
                return people, list(identities)
            self._identity = identities[best]
        kept = identities.index(self._identity)
        return people[kept : kept + 1], [self._identity]


def _best(people: People, which: str) -> int | None:
    """Index of the chosen person; None if there is nobody, or if all are chosen."""
    if which not in CHOICES:
        raise ValueError(f"person {which!r}; expected one of {', '.join(CHOICES)}")
    if which == "all" or not people:
        return None
    if which == "largest":
        return int(np.argmax(np.bincount(people.to_index().ravel(), minlength=len(people) + 1)[1:]))
    middle = np.array(people.size[::-1]) / 2
    centres = [(person.box[:2] + person.box[2:]) / 2 for person in people]
    return int(np.argmin([np.linalg.norm(centre - middle) for centre in centres]))
