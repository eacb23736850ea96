"""Writing a picture to a file of the user's choice."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Writes a picture in the format that the file's ending names, making its folder.

    Args:
        picture: uint8; (H, W), (H, W, 3) BGR or (H, W, 4) BGRA.

    Raises:
        OSError: the file cannot be written.
        ValueError: the ending names no format that OpenCV writes.
    """
    path = Path(path)
    if not cv2.haveImageWriter(path.name):
        raise ValueError(f"{path}: no pictures of this ending can be written; expected .png, .jpg")
    done, encoded = cv2.imencode(path.suffix, picture)
    if not done:
        raise ValueError(f"{path}: OpenCV cannot write a picture of shape {picture.shape} there")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.tobytes())
