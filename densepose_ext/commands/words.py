"""Checks of a command line that are the same for all commands."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import NoReturn

#: Options that name a file to write, or a folder to write to.
_WRITTEN = ("out", "output", "plot", "coverage", "preview", "save_results")


class Parser(argparse.ArgumentParser):
    """A parser that says how to name a file whose name starts with a dash."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args=None, namespace=None):
        """Called by ``parse_args``, and for each subcommand by the parser above."""
        self._words = args or ()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Ends the program with usage and message."""
        dashed = [word for word in self._words if word.startswith("-") and os.path.exists(word)]
        hint = f"; the file {dashed[0]} is to be given as ./{dashed[0]}" if dashed else ""
        super().error(message + hint)


def check_no_word_is_empty(words: Sequence[str]) -> None:
    """Checks that no word of a command line is empty, as ``"$OUT"`` without a value.

    An empty path would be the working folder. The value of a key of a config may be empty.

    Raises:
        ValueError: a word is; the message names the one before it.
    """
    for before, word in zip(["", *words], words):
        option, equals, value = word.partition("=")
        if not word and not before.isupper():
            where = f" after {before}" if before else ""
            raise ValueError(f"an empty word{where}: is a variable of the shell not set?")
        if option.startswith("--") and equals and not value:
            raise ValueError(f"{word} has no value: is a variable of the shell not set?")


def check_nothing_is_overwritten(options: Mapping[str, object]) -> None:
    """Checks that no file to be written is also an input, or another one to be written.

    Raises:
        ValueError: one is.
    """
    written = [str(options[name]) for name in _WRITTEN if options.get(name)]
    read = []
    for name, value in options.items():
        if name not in _WRITTEN:
            read += value if isinstance(value, list) else [value]
    for number, path in enumerate(written):
        if any(_are_same(path, other) for other in written[:number]):
            raise ValueError(f"{path} would be written twice; expected different files")
        if os.path.isfile(path) and any(_are_same(path, other) for other in read):
            raise ValueError(f"{path} is an input; write to another file")


def _are_same(path: str, other: object) -> bool:
    if not isinstance(other, (str, os.PathLike)):
        return False
    try:
        if os.path.exists(path):
            return os.path.samefile(path, other)
        return os.path.abspath(path) == os.path.abspath(other)
    except (OSError, ValueError):  # no path
        return False
