"""The pictures of a run, and the names of its output files."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from ..files.media import PICTURE_SUFFIXES


@dataclass(frozen=True)
class Source:
    """A picture to read.

    Attributes:
        path: of the file, as the user would name it.
        file_name: path relative to the given folder, with ``/``; just the name if the file itself
            was given. Unique in a run.
        name: prefix of the names of its outputs: ``file_name`` without its suffix, or with it if
            both a.jpg and a.png are there.
    """

    path: str
    file_name: str
    name: str

    def stamp(self) -> list[int] | None:
        """Size in bytes and modification time of the file; None if it does not exist."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return [found.st_size, found.st_mtime_ns]


@dataclass
class Sources:
    """Pictures in the order given, each once, and the number of files that are none."""

    pictures: list[Source]
    skipped: int

    def __len__(self) -> int:
        return len(self.pictures)


def find_pictures(
    inputs: Iterable[str],
    lines: Iterable[str] = (),
    without: str | os.PathLike | None = None,
) -> Sources:
    """The pictures of a command line.

    Args:
        inputs: files; folders, searched recursively; patterns such as ``"a/**/*.jpg"``; ``-``
            for more inputs, one per line. A path that does not exist counts as a picture: reading
            it will fail.
        lines: those that ``-`` stands for.
        without: a folder to leave out: that of the outputs.

    Raises:
        ValueError: that folder is one of the inputs.
    """
    finder = _Finder(PurePath(os.path.abspath(without)) if without is not None else None)
    for given in inputs:
        if given == "-":
            for line in lines:
                if line.rstrip("\r\n"):
                    finder.add(line.rstrip("\r\n"))
        else:
            finder.add(given)
    file_names = _unique_file_names(finder.found)
    names = _distinct([os.path.splitext(name)[0] for name in file_names], file_names)
    paths = (path for path, _ in finder.found.values())
    return Sources([Source(*one) for one in zip(paths, file_names, names)], finder.skipped)


class _Finder:
    """Gathers files.

    Attributes:
        found: absolute path -> (path, file_name), in the order of finding.
        skipped: number of files in folders that are not pictures.
    """

    def __init__(self, without: PurePath | None):
        self.without = without
        self.found: dict[str, tuple[str, str]] = {}
        self.skipped = 0

    def add(self, given: str) -> None:
        given = os.path.expanduser(given)
        if os.path.isdir(given):
            self._add_folder(given)
        elif os.path.exists(given) or not glob.has_magic(given):
            self._add_file(given, os.path.basename(given))
        else:
            root = _fixed_part(given)
            matches = sorted(glob.glob(given, recursive=True))
            for path in matches:
                if os.path.isfile(path) and not self._is_output(path):
                    self._add_file(path, os.path.relpath(path, root or "."))
            if not matches:
                self._add_file(given, os.path.basename(given))

    def _add_folder(self, folder: str) -> None:
        if PurePath(os.path.abspath(folder)) == self.without:
            raise ValueError(f"{folder} cannot hold both the pictures and the outputs")
        for place, folders, files in os.walk(folder):
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and not self._is_output(os.path.join(place, name))
            )
            for file in sorted(files):
                suffix = os.path.splitext(file)[1].lower()
                if file.startswith(".") or suffix not in PICTURE_SUFFIXES:
                    self.skipped += 1
                    continue
                path = os.path.join(place, file)
                self._add_file(path, os.path.relpath(path, folder))

    def _is_output(self, path: str) -> bool:
        """Whether a path is the output folder, or inside it."""
        if self.without is None:
            return False
        place = PurePath(os.path.abspath(path))
        return self.without in (place, *place.parents)

    def _add_file(self, path: str, file_name: str) -> None:
        self.found.setdefault(os.path.abspath(path), (path, PurePath(file_name).as_posix()))


def _fixed_part(pattern: str) -> str:
    """The longest folder that contains all matches of a pattern."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _unique_file_names(found: dict[str, tuple[str, str]]) -> list[str]:
    """Each file's name relative to its folder; if two are the same, relative to the folder that
    contains all inputs.
    """
    names = [file_name for _, file_name in found.values()]
    if len({os.path.splitdrive(path)[0] for path in found}) > 1:  # of Windows: C:/a.jpg is C/a.jpg
        longer = [PurePath(path.replace(":", "", 1)).as_posix().lstrip("/") for path in found]
    else:
        common = os.path.commonpath([os.path.dirname(path) for path in found]) if found else ""
        longer = [PurePath(os.path.relpath(path, common)).as_posix() for path in found]
    return _distinct(names, longer)


def _distinct(names: list[str], longer: list[str]) -> list[str]:
    """``names``, with duplicates replaced by ``longer`` names, which are distinct."""
    # To the file systems of Windows and macOS A.jpg and a.jpg are one file.
    key = str.casefold if sys.platform in ("win32", "darwin") else str
    while True:
        counts = Counter(map(key, names))
        chosen = [long if counts[key(name)] > 1 else name for name, long in zip(names, longer)]
        if chosen == names:
            return names
        names = chosen
