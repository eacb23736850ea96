"""Atomic writes: a file appears whole or not at all."""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``, which is renamed to ``path`` at the end.

    Readers see the old file or the complete new one. After an error nothing is left behind, and an
    OSError names ``path``: that of a full disk names no file, others name the temporary one.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with naming(path, temporary):
            yield temporary
            _rename(temporary, path)
    finally:
        with suppress(OSError):  # on a disk that cannot be written to, not even this works
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file atomically, for processes that may be killed while they write.

    The temporary file has one name, so that the next attempt replaces what a killed process left.
    Only one process at a time may write to ``path``; see :func:`replacing` otherwise.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with naming(path, temporary):
        temporary.write_bytes(content)
        _rename(temporary, path)


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Gives an OSError the name of a file, if it names none, or a temporary one in its place."""
    try:
        yield
    except OSError as error:
        own = (None,) if temporary is None else (None, temporary, str(temporary))
        if error.errno is not None and error.filename in own:
            error.filename, error.filename2 = str(path), None
        raise
    except RuntimeError as error:
        # torch.save hides why its file cannot be written.
        if not isinstance(error.__context__, OSError):
            raise
        error.__context__.filename = str(path)
        raise error.__context__ from None


def _rename(temporary: Path, path: Path) -> None:
    if sys.platform == "win32":  # where it fails as long as another program reads the old file
        for _ in range(20):
            try:
                os.replace(temporary, path)
                return
            except PermissionError:
                time.sleep(0.05)
    os.replace(temporary, path)
