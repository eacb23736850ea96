"""Writes a picture to a file that the user names."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from ..files.atomic import write_whole
from ..files.picture_encoding import encode_picture
from ..files.writable_folder import make_writable

#: Endings of formats with an alpha channel.
_TRANSPARENT = (".png", ".webp", ".tif", ".tiff")


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Writes a picture in the format of the file's ending; makes its folder.

    Args:
        picture: uint8; (H, W), (H, W, 3) BGR or (H, W, 4) BGRA.

    Raises:
        OSError: the file cannot be written.
        ValueError: OpenCV does not write the format, or it has no alpha and the picture does.
    """
    path = Path(path)
    _check_ending(path)
    if picture.ndim == 3 and picture.shape[2] == 4 and path.suffix.lower() not in _TRANSPARENT:
        raise ValueError(f"{path}: this kind keeps no transparency; expected .png")
    try:
        content = encode_picture(path.suffix, picture)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def check_output(path: str | os.PathLike) -> None:
    """Checks the ending of a file and makes its folder; call it before long work.

    Raises:
        OSError: files cannot be written to the folder.
        ValueError: OpenCV does not write the format.
    """
    _check_ending(path)
    make_writable(Path(path).parent)


def _check_ending(path: str | os.PathLike) -> None:
    if not cv2.haveImageWriter(Path(path).name):
        raise ValueError(f"{path}: no pictures of this ending can be written; expected .png, .jpg")
