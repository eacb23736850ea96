"""Locks on files, which the system takes back if the process dies."""

import os
import sys
import time

if sys.platform == "win32":
    import msvcrt

    #: Byte that is locked: behind what a file holds, because others cannot read a locked byte.
    _PLACE = 2**31 - 2
    #: Seconds between attempts, and until a lock is held by another program for sure: Windows takes
    #: a while to take it back from a closed file.
    _PAUSE, _PATIENCE = 0.05, 1.0

    def acquire(file: int, wait: bool = True) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            os.lseek(file, _PLACE, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
                return
            except PermissionError as error:  # what it raises if another has the lock
                if not wait and time.monotonic() > end:
                    raise BlockingIOError(error.errno, "the lock is taken") from None
            time.sleep(_PAUSE)

else:
    import fcntl

    def acquire(file: int, wait: bool = True) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


acquire.__doc__ = """Locks an open file until it is closed. On Windows this moves its position.

Args:
    file: its descriptor, open for writing.
    wait: until another program has released it.

Raises:
    BlockingIOError: another program holds the lock, and ``wait`` is False.
    OSError: the file system has no locks.
"""
