"""Fields of the entries of results files, the same in charts and with vertices."""

from __future__ import annotations

import base64
import binascii

import cv2
import numpy as np

from ..files.picture_encoding import encode_picture


def common_fields(image_id: int | str, category: int, box: np.ndarray, score: float) -> dict:
    """What every entry has, as JSON values. box: xywh."""
    return {
        "image_id": image_id if isinstance(image_id, str) else int(image_id),
        "category_id": int(category),
        "bbox": [float(value) for value in box],
        "score": float(score),
    }


def encode_png(picture: np.ndarray) -> str:
    """A picture, (h, w) or (h, w, 3) BGR, as the base64 of a PNG."""
    return base64.b64encode(encode_picture(".png", picture)).decode("ascii")


def decode_png(data: str, key: str) -> np.ndarray:
    """The picture of :func:`encode_png`.

    Args:
        key: of the entry, for messages.

    Raises:
        ValueError: it is not a PNG in base64.
    """
    try:
        # Older files have line breaks in the base64.
        png = np.frombuffer(base64.b64decode(data.replace("\n", ""), validate=True), np.uint8)
    except (binascii.Error, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{key} is not base64: {error}") from error
    picture = cv2.imdecode(png, cv2.IMREAD_UNCHANGED) if len(png) else None
    if picture is None:
        raise ValueError(f"{key} is not a PNG")
    return picture
