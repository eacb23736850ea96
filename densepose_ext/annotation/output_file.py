"""Writes the annotation file in the background, atomically, soon after each change."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from ..files.atomic import replacing

logger = logging.getLogger(f"detectron2.{__name__}")

#: Seconds from a change until it is written. Until then only the log has it.
DELAY = 1.0


class OutputFile:
    """A file that is kept up to date by a background thread."""

    def __init__(self, path: Path, text: Callable[[], str]):
        """
        Args:
            text: returns the content; called in the background thread.
        """
        self.path = path
        self.error = ""
        self._text = text
        self._changed, self._closing = threading.Event(), threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="annotations", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """Schedules a write."""
        self._changed.set()

    def write(self) -> None:
        """Writes the file now.

        Raises:
            OSError: it cannot be written; the old file remains.
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
        """Writes pending changes, and ends the thread.

        Raises:
            OSError: the file cannot be written.
        """
        is_late = self._changed.is_set()
        self._closing.set()
        self._changed.set()
        self._thread.join()
        if is_late:
            self.write()
