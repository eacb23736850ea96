"""Errors as a program prints them, when they are the user's to mend."""

from __future__ import annotations

import os


def one_line(error: Exception) -> str:
    """What an error says, in one line: of a file, its name, then what is wrong with it."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, (str, bytes)):
        files = [os.fsdecode(name) for name in (error.filename, error.filename2) if name]
        # What os.makedirs raises; it says only "File exists".
        in_the_way = isinstance(error, FileExistsError) and not error.filename2
        reason = "it is a file, expected a folder" if in_the_way else error.strerror
        text = f"{', '.join(files)}: {reason}"
    return " ".join(text.split())
