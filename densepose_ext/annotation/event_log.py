"""An append-only log of actions, one JSON object per line.

Each action is on disk before it is reported as done. The file is locked while it is open, so that
only one program writes to it; the system releases the lock if the program is killed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ..files.atomic import naming
from ..files.locks import acquire

#: Without this flag, Windows writes \r\n for \n.
_BINARY = getattr(os, "O_BINARY", 0)


class EventLog:
    """An open log.

    Attributes:
        path: the file.
        events: the events found in the file when it was opened, oldest first.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens a log, or creates it.

        An incomplete last line is removed: the program was killed while writing it, so the action
        was never reported as done.

        Raises:
            ValueError: another program has it open, or a line before the last is damaged.
            OSError: it cannot be opened.
        """
        self.path = Path(path)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
        try:
            acquire(self._file, wait=False)
            self.events, self._end = read_events(self.path)
            self._count = len(self.events)
            os.ftruncate(self._file, self._end)
            _sync_folder(self.path.parent)
        except BlockingIOError:
            os.close(self._file)
            raise ValueError(
                f"{self.path} is in use: the same annotations are open in another program"
            ) from None
        except BaseException:
            os.close(self._file)
            raise

    def append(self, event: dict) -> dict:
        """Appends an event, and returns once it is on disk.

        Returns:
            the event, with its number as ``n``.

        Raises:
            OSError: it could not be written; the log is unchanged.
        """
        event = {"n": self._count, **event}
        line = json.dumps(event, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            with naming(self.path):
                os.lseek(self._file, self._end, os.SEEK_SET)
                done = 0
                while done < len(line):
                    done += os.write(self._file, line[done:])
                os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += len(line)
        self._count += 1
        return event

    def close(self) -> None:
        """Closes the file and releases the lock."""
        os.close(self._file)


def read_events(path: str | os.PathLike) -> tuple[list[dict], int]:
    """The events of a log, which may be open elsewhere, and their size in bytes.

    Raises:
        ValueError: a line before the last is damaged.
        OSError: it cannot be read.
    """
    with open(path, "rb") as stream:
        content = stream.read()
    events: list[dict] = []
    end = 0
    for line in content.splitlines(keepends=True):
        event = _parsed(line)
        if event is None or event.get("n") != len(events):
            if end + len(line) < len(content):
                raise ValueError(
                    f"{path}: line {len(events) + 1} is damaged, expected a JSON object"
                    f' with "n": {len(events)}'
                )
            break
        events.append(event)
        end += len(line)
    return events, end


def _parsed(line: bytes) -> dict | None:
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _sync_folder(folder: Path) -> None:
    """Makes sure that a new file's directory entry survives a power failure."""
    if sys.platform == "win32":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
