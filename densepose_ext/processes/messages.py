"""Messages to the user: numbers of things, and errors that are the user's to mend."""

from __future__ import annotations

import os

_PLURALS = {"person": "people", "batch": "batches"}


def counted(number: int, thing: str) -> str:
    """Such as "1 person", "2 people"; "0 other files"."""
    return f"{number} {thing if number == 1 else _PLURALS.get(thing, f'{thing}s')}"


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
