"""Writing a picture to a file of the user's choice."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

#: Endings of formats with a fourth channel.
_TRANSPARENT = (".png", ".webp", ".tif", ".tiff")


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Writes a picture in the format that the file's ending names, making its folder.

    Args:
        picture: uint8; (H, W), (H, W, 3) BGR or (H, W, 4) BGRA.

    Raises:
        OSError: the file cannot be written.
        ValueError: the ending names no format that OpenCV writes, or one without transparency for
            a picture that has it.
    """
    path = Path(path)
    check_ending(path)
    if picture.ndim == 3 and picture.shape[2] == 4 and path.suffix.lower() not in _TRANSPARENT:
        raise ValueError(f"{path}: this kind keeps no transparency; expected .png")
    done, encoded = cv2.imencode(path.suffix, picture)
    if not done:
        raise ValueError(f"{path}: OpenCV cannot write a picture of shape {picture.shape} there")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.tobytes())


def check_ending(path: str | os.PathLike) -> None:
    """Before long work.

    Raises:
        ValueError: the ending names no format that OpenCV writes.
    """
    if not cv2.haveImageWriter(Path(path).name):
        raise ValueError(f"{path}: no pictures of this ending can be written; expected .png, .jpg")
