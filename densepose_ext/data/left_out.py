"""Counts and reports what is left out because it cannot be used."""

from __future__ import annotations

import functools
import logging
from collections import Counter

logger = logging.getLogger(f"detectron2.{__name__}")


class LeftOut:
    """Counts what is left out of a file, by kind, with the first of each kind as an example."""

    def __init__(self, source: object):
        """
        Args:
            source: the file, for messages.
        """
        self._source = source
        self.counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, kind: str, where: str, reason: str) -> None:
        """
        Args:
            kind: "annotations", "segmentations", ...
            where: "annotation 7 of image 5".
            reason: what is wrong with it: key, value, and what was expected.
        """
        self.counts[kind] += 1
        self._examples.setdefault(kind, f"{where}: {reason}")

    def report(self) -> None:
        """Logs a warning for each kind. The same warning is logged once per process."""
        for kind, count in self.counts.items():
            warn_once(
                f"{self._source}: left out {count} {kind} that cannot be used; the first is"
                f" {self._examples[kind]}"
            )


@functools.cache
def warn_once(message: str) -> None:
    """Logs a warning, the first time in this process."""
    logger.warning(message)
