"""Dense targets: I, U and V at every pixel of a person, in pictures beside the annotations.

An annotation's ``dp_iuv`` names a PNG, relative to the folder of the JSON file: I, U * 255, V * 255
in R, G, B at each pixel of the person's box, 0 in I where the person is not seen or nothing is
known. It starts at the pixel (int(x), int(y)) of the box XYWH and has the size of
:func:`dense_target_size`, as the maps of results have.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..files.atomic import write_whole
from ..files.picture_encoding import encode_picture
from .parts import NUM_FINE_PARTS

#: The key of an annotation.
DENSE_KEY = "dp_iuv"
#: The key of a file's ``info``: the surface that its dense targets are on, if that is known.
SURFACE_KEY = "dp_iuv_surface"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Length, name and checksum of a PNG's last chunk.
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def has_dense_target(annotation: dict) -> bool:
    """Whether an annotation of a loaded dataset has dense pose as a picture."""
    return DENSE_KEY in annotation


def dense_target_size(bbox: Sequence[float]) -> tuple[int, int]:
    """Height and width of the picture of a person's box XYWH, at least 1 each."""
    return max(int(bbox[3]), 1), max(int(bbox[2]), 1)


def write_dense_target(path: Path, iuv: np.ndarray) -> None:
    """Writes a picture (h, w, 3) uint8 of I, U * 255, V * 255."""
    write_whole(path, encode_picture(".png", iuv[:, :, ::-1]))


def check_dense_target(person: dict) -> None:
    """Checks that the picture of a loaded annotation is a whole PNG of the right size.

    It looks at the first and the last bytes only: fast enough for all people of a dataset.

    Raises:
        FileNotFoundError, ValueError: it is not; the message names the file and the annotation.
    """
    path = person[DENSE_KEY]
    try:
        with open(path, "rb") as file:
            head = file.read(24)
            file.seek(-min(len(_END), os.path.getsize(path)), os.SEEK_END)
            end = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{_name(person)}: there is no such file") from None
    if not head.startswith(_SIGNATURE) or len(head) < 24:
        raise ValueError(f"{_name(person)} is not a PNG")
    if end != _END:
        raise ValueError(f"{_name(person)} is truncated")
    width, height = struct.unpack(">II", head[16:24])
    _check_size(person, (height, width))


def read_dense_target(person: dict) -> np.ndarray:
    """The picture of a loaded annotation, (h, w, 3) uint8: I, U * 255, V * 255.

    Raises:
        ValueError: it cannot be read, has another size, or has a part above 24; the message names
            the file and the annotation.
    """
    picture = cv2.imread(person[DENSE_KEY], cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{_name(person)} cannot be read as a picture")
    _check_size(person, picture.shape[:2])
    if picture[:, :, 2].max() > NUM_FINE_PARTS:
        raise ValueError(
            f"{_name(person)} has the part {picture[:, :, 2].max()}, expected 0 to {NUM_FINE_PARTS}"
        )
    return picture[:, :, ::-1]


def _check_size(person: dict, size: tuple[int, int]) -> None:
    expected = dense_target_size(person["bbox"])
    if size != expected:
        raise ValueError(
            f"{_name(person)} has {size[1]} x {size[0]} pixels, expected {expected[1]} x"
            f" {expected[0]}, those of the box {person['bbox']}"
        )


def _name(person: dict) -> str:
    return f"annotation {person.get('id')}: {DENSE_KEY} = {person[DENSE_KEY]}"
