"""Atomic writes: a file appears whole or not at all."""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``, which is renamed to ``path`` at the end.

    Readers see the old file or the complete new one. After an error nothing is left behind, and an
    OSError names a file: that of a full disk names none.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with naming(path):
            yield temporary
            _rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file atomically, for processes that may be killed while they write.

    The temporary file has one name, so that the next attempt replaces what a killed process left.
    Only one process at a time may write to ``path``; see :func:`replacing` otherwise.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with naming(path):
        temporary.write_bytes(content)
        _rename(temporary, path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Gives an OSError that names no file, as that of a full disk, the name of this one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _rename(temporary: Path, path: Path) -> None:
    if sys.platform == "win32":  # where it fails as long as another program reads the old file
        for _ in range(20):
            try:
                os.replace(temporary, path)
                return
            except PermissionError:
                time.sleep(0.05)
    os.replace(temporary, path)
