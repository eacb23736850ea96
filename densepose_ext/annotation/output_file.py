"""Writes the annotations in the background, whole or not at all, soon after they have changed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from ..files.atomic import replacing

logger = logging.getLogger(f"detectron2.{__name__}")

#: Seconds from a change to the file. Until then it is in the log alone.
DELAY = 1.0


class OutputFile:
    """A file that follows what it is made of."""

    def __init__(self, path: Path, text: Callable[[], str]):
        """
        Args:
            text: makes the content; called in another thread.
        """
        self.path = path
        self.error = ""
        self._text = text
        self._changed, self._closing = threading.Event(), threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="annotations", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """Has the file written again in a moment."""
        self._changed.set()

    def write(self) -> None:
        """Writes the file now.

        Raises:
            OSError: it cannot be written; what was there stays.
        """
        with self._writing:
            self._changed.clear()
            text = self._text()
            with replacing(self.path) as temporary, open(temporary, "wb") as stream:
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
        self.error = ""

    def _follow(self) -> None:
        while True:
            self._changed.wait()
            if self._closing.wait(DELAY):
                return
            try:
                self.write()
            except OSError as error:
                self.error = f"{self.path} cannot be written: {error}"
                logger.error(self.error)

    def close(self) -> None:
        """Writes what is left to write.

        Raises:
            OSError: as of :meth:`write`.
        """
        is_late = self._changed.is_set()
        self._closing.set()
        self._changed.set()
        self._thread.join()
        if is_late:
            self.write()
