"""Reads a long JSON list entry by entry, so that it need not fit into memory."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .json_file import GZIP, read_json

#: Bytes read at once.
_CHUNK = 4 << 20
_SPACE = re.compile(r"[ \t\n\r]*")
_UTF8_MARK = b"\xef\xbb\xbf"
#: How files in UTF-16 and UTF-32 may begin, and gzip files do.
_NOT_UTF8 = (b"\xff\xfe", b"\xfe\xff", GZIP)


def json_entries(
    path: str | os.PathLike, kind: str = "entries"
) -> Iterator[tuple[object, range | None]]:
    """The entries of a JSON list in a file, in order, each with its bytes in the file.

    Files in UTF-16 or UTF-32 and gzip files are read as a whole, and their entries have None in
    place of bytes.

    Args:
        kind: what the list is of, for messages.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a JSON list.
    """
    with open(path, "rb") as stream:
        start = stream.read(4)
        stream.seek(len(_UTF8_MARK) if start.startswith(_UTF8_MARK) else 0)
        if b"\0" not in start and not start.startswith(_NOT_UTF8):
            yield from _Entries(path, stream, kind)
            return
    content = read_json(Path(path))
    if not isinstance(content, list):
        raise _no_list(path, kind)
    yield from ((entry, None) for entry in content)


def read_entry(path: str | os.PathLike, at: range) -> object:
    """An entry of a list, read again from its bytes in the file.

    Raises:
        OSError, ValueError: the file has changed.
    """
    with open(path, "rb") as stream:
        stream.seek(at.start)
        try:
            return json.loads(stream.read(len(at)))
        except ValueError as error:
            raise ValueError(f"{path} has changed since it was read: {error}") from error


def _no_list(path: str | os.PathLike, kind: str) -> ValueError:
    return ValueError(f"{path}: expected a list of {kind}")


class _Entries:
    """Decodes entries from the part of a file that is in memory, and reads on where it ends.

    Bytes are decoded as Latin-1, a character each, so that positions are those of the file. Only
    letters in strings differ from UTF-8; entries that have some are decoded again.
    """

    def __init__(self, path: str | os.PathLike, stream: BinaryIO, kind: str):
        self._path, self._stream, self._kind = path, stream, kind
        self._offset = stream.tell()
        self._text, self._place = "", 0
        self._at_end = False
        self._decoder = json.JSONDecoder()

    def __iter__(self) -> Iterator[tuple[object, range]]:
        first = self._next_character()
        if first != "[":
            self._check_other()
            raise _no_list(self._path, self._kind)
        self._place += 1
        if self._next_character() == "]":
            self._place += 1
        else:
            while True:
                yield self._entry()
                if self._next_character() not in (",", "]"):
                    raise self._error("expected a comma or the end of the list")
                self._place += 1
                if self._text[self._place - 1] == "]":
                    break
        if self._next_character():
            raise self._error("something follows the list")

    def _check_other(self) -> None:
        """Raises ValueError if what is no list is no JSON either."""
        while not self._at_end:
            self._read_on()
        try:
            json.loads(self._text[self._place :].encode("latin-1"))
        except ValueError as error:
            raise ValueError(f"{self._path} is not JSON: {error}") from error

    def _next_character(self) -> str:
        """The next one that is no space, "" at the end."""
        while True:
            self._place = _SPACE.match(self._text, self._place).end()  # type: ignore[union-attr]
            if self._place < len(self._text):
                return self._text[self._place]
            if self._at_end:
                return ""
            self._read_on()

    def _entry(self) -> tuple[object, range]:
        self._next_character()
        while True:
            try:
                entry, end = self._decoder.raw_decode(self._text, self._place)
                if end < len(self._text) or self._at_end:
                    break
            except (ValueError, RecursionError) as error:
                if self._at_end:
                    raise self._error(str(error) or type(error).__name__) from None
            self._read_on()
        text = self._text[self._place : end]
        at = range(self._offset + self._place, self._offset + end)
        self._place = end
        if not text.isascii():
            try:
                entry = json.loads(text.encode("latin-1"))
            except ValueError as error:
                raise self._error(str(error)) from None
        return entry, at

    def _read_on(self) -> None:
        """Drops what was decoded, and reads at least as much as is left."""
        rest = self._text[self._place :]
        self._offset += self._place
        new = self._stream.read(max(_CHUNK, len(rest)))
        self._at_end = not new
        self._text, self._place = rest + new.decode("latin-1"), 0

    def _error(self, reason: str) -> ValueError:
        place = self._offset + self._place
        return ValueError(f"{self._path} is not JSON: {reason}, after {place} bytes")
