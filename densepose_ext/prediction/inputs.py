"""Which pictures a run is about, and what the files that it writes for them are called."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

#: Files of a folder with one of these endings are taken for pictures; a file that is named by
#: itself is one whatever its name.
PICTURE_SUFFIXES = (
    *(".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)


@dataclass(frozen=True)
class Source:
    """A picture to be read.

    Attributes:
        path: of the file, as the user would name it.
        file_name: path below the folder that was given, with ``/``; of a file given by itself,
            its name alone.
        name: unique start of the names of its outputs, with ``/``: as a rule ``file_name``
            without the ending.
    """

    path: str
    file_name: str
    name: str


@dataclass
class Sources:
    """Pictures in the order they were named, each file once, and how many files are none."""

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
        inputs: files; folders, whose pictures are found at any depth; patterns such as
            ``"a/**/*.jpg"``; ``-`` for such inputs one a line. What does not exist is a picture
            too: reading it will say so.
        lines: those of ``-``.
        without: a folder to leave out, that of the outputs.
    """
    finder = _Finder(os.path.abspath(without) if without is not None else None)
    for given in inputs:
        if given == "-":
            for line in lines:
                if line.rstrip("\r\n"):
                    finder.add(line.rstrip("\r\n"))
        else:
            finder.add(given)
    paths = list(finder.found.values())
    names = _unique_names(paths, list(finder.found))
    pictures = [Source(path, file_name, name) for (path, file_name), name in zip(paths, names)]
    return Sources(pictures, finder.skipped)


class _Finder:
    """Gathers files.

    Attributes:
        found: absolute path -> (path, file_name), in the order of finding.
        skipped: files of folders that are no pictures.
    """

    def __init__(self, without: str | None):
        self.without = without
        self.found: dict[str, tuple[str, str]] = {}
        self.skipped = 0

    def add(self, given: str) -> None:
        if os.path.isdir(given):
            self._add_folder(given)
        elif os.path.exists(given) or not glob.has_magic(given):
            self._add_file(given, os.path.basename(given))
        else:
            root = _fixed_part(given)
            matches = sorted(glob.glob(given, recursive=True))
            for path in matches:
                if os.path.isfile(path):
                    self._add_file(path, os.path.relpath(path, root or "."))
            if not matches:
                self._add_file(given, os.path.basename(given))

    def _add_folder(self, folder: str) -> None:
        for place, folders, files in os.walk(folder):
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".")
                and os.path.abspath(os.path.join(place, name)) != self.without
            )
            for file in sorted(files):
                suffix = os.path.splitext(file)[1].lower()
                if file.startswith(".") or suffix not in PICTURE_SUFFIXES:
                    self.skipped += 1
                    continue
                path = os.path.join(place, file)
                self._add_file(path, os.path.relpath(path, folder))

    def _add_file(self, path: str, file_name: str) -> None:
        self.found.setdefault(os.path.abspath(path), (path, PurePath(file_name).as_posix()))


def _fixed_part(pattern: str) -> str:
    """The folder that all matches of a pattern lie in."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _unique_names(paths: list[tuple[str, str]], absolute: list[str]) -> list[str]:
    """A name for each picture: the shortest of three kinds that nobody else has.

    Without the ending; with it, where a.jpg lies beside a.png; and below the folder that holds all
    inputs, where two of them have the same file.
    """
    with_ending = [file_name for _, file_name in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in absolute]) if absolute else ""
    whole = [PurePath(os.path.relpath(path, common)).as_posix() for path in absolute]
    kinds: list[Callable[[int], str]] = [
        lambda n: os.path.splitext(with_ending[n])[0],
        lambda n: with_ending[n],
        lambda n: whole[n],
    ]
    return list(_first_unique(len(paths), kinds))


def _first_unique(count: int, kinds: list[Callable[[int], str]]) -> Iterator[str]:
    totals = [Counter(kind(n) for n in range(count)) for kind in kinds]
    for n in range(count):
        names = [kind(n) for kind in kinds]
        yield next((name for name, total in zip(names, totals) if total[name] == 1), names[-1])
