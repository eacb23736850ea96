"""Leases decide which page may change a person; they expire unless they are renewed."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds until a lease expires; pages renew theirs every 20 seconds.
DURATION = 75.0


class Leases:
    """Leases by person, one holder each. They are kept in memory only: a restart ends them all."""

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._held: dict[int, tuple[str, str, float]] = {}

    def take(self, person: int, session: str, name: str) -> bool:
        """Takes or renews the lease of a person; False if another session holds it.

        Args:
            session: identifies a page. name: name of its annotator, for messages.
        """
        holder = self._held.get(person)
        if holder is not None and holder[0] != session and holder[2] > self._now():
            return False
        self._held[person] = session, name, self._now() + DURATION
        return True

    def holds(self, person: int, session: str) -> bool:
        """Whether a session holds the lease of a person."""
        holder = self._held.get(person)
        return holder is not None and holder[0] == session and holder[2] > self._now()

    def holder(self, person: int) -> str | None:
        """Name of the annotator who holds the lease of a person; None if nobody does."""
        holder = self._held.get(person)
        return holder[1] if holder is not None and holder[2] > self._now() else None

    def free_for(self, person: int, session: str) -> bool:
        """Whether a session could take the lease of a person."""
        return self.holder(person) is None or self.holds(person, session)

    def give_back(self, person: int, session: str) -> None:
        """Ends the lease of a person, if the session holds it."""
        if self.holds(person, session):
            del self._held[person]
