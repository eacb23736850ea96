"""Folders to write to."""

from __future__ import annotations

import os
import tempfile


def make_writable(folder: str | os.PathLike) -> None:
    """Makes the folder if it is missing, and tries to write there; call it before long work.

    Raises:
        OSError: files cannot be written there.
    """
    os.makedirs(folder, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        error.filename = os.fspath(folder)  # not that of the temporary file
        raise
