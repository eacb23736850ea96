"""Folders that one program at a time may write to, on this machine or on others that share them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .locks import acquire

#: The file that is locked. It holds the process and the machine, for messages.
_NAME = ".lock"

#: Seconds to wait for a lock: the workers of a killed program hold it until they notice.
PATIENCE = 10.0


@contextmanager
def sole_use(folder: str | os.PathLike) -> Iterator[None]:
    """Keeps other programs that ask for the same folder out of it.

    The system takes the lock back if this process dies. On file systems without locks, nobody is
    kept out.

    Raises:
        ValueError: another program uses the folder; the message names the process.
        OSError: the folder cannot be written to.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, _NAME)
    file = _locked(path, time.monotonic() + PATIENCE)
    try:
        with suppress(OSError):  # of a full disk: the lock holds without it
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with suppress(OSError):  # Windows does not remove open files
            os.unlink(path)
        os.close(file)


def _locked(path: str, end: float) -> int:
    """The descriptor of the locked file, once it is free, at the latest at the time ``end``."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            acquire(file, wait=False)
            if _is_at(path, file):
                return file
        except BlockingIOError:
            if time.monotonic() > end:
                os.lseek(file, 0, os.SEEK_SET)
                user = os.read(file, 1000).decode(errors="replace") or "another program"
                os.close(file)
                raise ValueError(
                    f"{os.path.dirname(os.path.abspath(path))} is in use by {user}: wait until it"
                    " has ended, or choose another folder"
                ) from None
            time.sleep(0.1)
        except OSError:  # the file system has no locks
            return file
        os.close(file)


def _is_at(path: str, file: int) -> bool:
    """Whether an open file is still at a path: who had it before may have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
