"""The pictures of a project, all in one folder: read whole, as previews, and as tiles."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ..data.picture_files import UNREADABLE, picture_size
from ..files.media import PICTURE_SUFFIXES
from ..files.picture_encoding import encode_picture
from ..files.picture_reader import read_picture
from .project import Picture

#: Side of a tile, pixels.
TILE = 1024
#: Number of decoded pictures in memory; one of 6000 x 4000 pixels takes 72 MB.
DECODED = 3
#: Factors by which OpenCV can shrink a JPEG as it decodes it, EXIF orientation included.
_REDUCED = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)
_QUALITY = 88


def find_pictures(folder: str | os.PathLike) -> list[str]:
    """Sorted paths of the pictures in a folder, searched recursively; relative, with slashes.

    Hidden files and folders are skipped, and so are links that lead out of the folder.

    Raises:
        NotADirectoryError: it is not a folder.
        ValueError: it has no pictures.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    root = folder.resolve()
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or not path.name.lower().endswith(PICTURE_SUFFIXES) or not path.is_file():
            continue
        if path.resolve().is_relative_to(root):
            names.append(name.as_posix())
    if not names:
        raise ValueError(f"{folder} has no pictures, expected files such as .jpg and .png")
    return names


def new_pictures(folder: str | os.PathLike, names: list[str], known: dict) -> tuple[list, list]:
    """Records of the pictures that are new to a project.

    Args:
        known: the project's pictures by id.

    Returns:
        records with id, file_name, width and height; and a message for each unreadable picture.
    """
    seen = {picture.file_name for picture in known.values()}
    number = max(known, default=0)
    records, faults = [], []
    for name in names:
        if name in seen:
            continue
        path = os.path.join(folder, name)
        try:
            width, height = picture_size(path)
        except UNREADABLE as error:
            faults.append(f"{path} cannot be read: {error}")
            continue
        number += 1
        records.append({"id": number, "file_name": name, "width": width, "height": height})
    return records, faults


class PictureFiles:
    """Reads the pictures of a project, with their EXIF orientation applied."""

    def __init__(self, folder: str | os.PathLike):
        self._folder = Path(folder).resolve()
        self._lock = threading.Lock()
        self._decoded = lru_cache(maxsize=DECODED)(self._decode)

    def path(self, picture: Picture) -> Path:
        """The file of a picture.

        Raises:
            ValueError: it is outside the folder, for example because a link has replaced it.
        """
        path = (self._folder / picture.file_name).resolve()
        if not path.is_relative_to(self._folder):
            raise ValueError(f"{picture.file_name} lies outside {self._folder}")
        return path

    def read(self, picture: Picture) -> np.ndarray:
        """(H, W, 3) uint8 BGR. The array is shared: do not change it.

        Raises:
            OSError, ValueError: it is missing or damaged, or its size has changed.
        """
        with self._lock:
            return self._decoded(str(self.path(picture)), picture.width, picture.height)

    @staticmethod
    def _decode(path: str, width: int, height: int) -> np.ndarray:
        found = read_picture(path)
        if found.shape[:2] != (height, width):
            raise ValueError(
                f"{path} has {found.shape[1]} x {found.shape[0]} pixels, expected {width} x"
                f" {height}, its size when it was added to the project"
            )
        found.flags.writeable = False
        return found

    def small(self, picture: Picture, side: int) -> bytes:
        """A JPEG, shrunk so that its longer side has at most ``side`` pixels."""
        found = self._reduced(picture, side)
        found = self.read(picture) if found is None else found
        scale = side / max(found.shape[:2])
        if scale < 1:
            size = [max(round(length * scale), 1) for length in found.shape[1::-1]]
            found = cv2.resize(found, size, interpolation=cv2.INTER_AREA)
        return encode_picture(".jpg", found, _QUALITY)

    def _reduced(self, picture: Picture, side: int) -> np.ndarray | None:
        """A JPEG shrunk while decoding, which is many times faster; None where not possible."""
        path, longest = str(self.path(picture)), max(picture.width, picture.height)
        is_jpeg = path.lower().endswith((".jpg", ".jpeg"))
        flag = next((flag for factor, flag in _REDUCED if longest >= factor * side), None)
        return cv2.imread(path, flag) if is_jpeg and flag is not None else None

    def tile(self, picture: Picture, column: int, row: int) -> bytes:
        """A JPEG of one tile at full resolution; smaller at the right and lower border.

        Raises:
            ValueError: there is no such tile.
        """
        x, y = column * TILE, row * TILE
        if not (0 <= x < picture.width and 0 <= y < picture.height):
            raise ValueError(f"{picture.file_name} has no tile {column}, {row}")
        window = np.ascontiguousarray(self.read(picture)[y : y + TILE, x : x + TILE])
        return encode_picture(".jpg", window, _QUALITY)
