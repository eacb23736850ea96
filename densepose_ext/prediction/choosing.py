"""Which of the people of a picture or of a video are meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .people import People

#: What can be chosen.
CHOICES = ("all", "largest", "centre")


def chosen(people: People, which: str) -> People:
    """The people of a picture that are meant.

    Args:
        which: "all"; "largest", who covers most pixels; or "centre", whose box has its centre
            nearest to the picture's.
    """
    best = _best(people, which)
    return people if best is None else People(people[best : best + 1], people.size)


class Follower:
    """Chooses in a video: who was chosen first stays so while seen, then another one is chosen."""

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
        return People(people[kept : kept + 1], people.size), [self._identity]


def _best(people: People, which: str) -> int | None:
    """Index of the chosen one; None if there is nobody, or all are."""
    if which not in CHOICES:
        raise ValueError(f"person {which!r}; expected one of {', '.join(CHOICES)}")
    if which == "all" or not people:
        return None
    if which == "largest":
        return int(np.argmax([int((person.result.labels > 0).sum()) for person in people]))
    middle = np.array(people.size[::-1]) / 2
    centres = [(person.box[:2] + person.box[2:]) / 2 for person in people]
    return int(np.argmin([np.linalg.norm(centre - middle) for centre in centres]))
