"""Errors as a program prints them, when they are the user's to mend."""

from __future__ import annotations

import os


def one_line(error: Exception) -> str:
    """What an error says, in one line: of a file, its name, then what is wrong with it."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, (str, bytes)):
        files = [os.fsdecode(name) for name in (error.filename, error.filename2) if name]
        text = f"{', '.join(files)}: {error.strerror}"
    return " ".join(text.split())
