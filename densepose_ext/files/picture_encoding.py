"""Pictures as the content of files."""

from __future__ import annotations

import cv2
import numpy as np


def encode_picture(ending: str, picture: np.ndarray, jpeg_quality: int = 95) -> bytes:
    """The content of a picture file.

    Args:
        ending: of the format, such as ".png".
        picture: (H, W), (H, W, 3) BGR or (H, W, 4) BGRA; uint8, for PNG also uint16.
        jpeg_quality: 0 to 100, for ".jpg".

    Raises:
        ValueError: the format cannot hold it; it may be too large, for example.
    """
    quality = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if ending == ".jpg" else []
    done, content = cv2.imencode(ending, picture, quality)
    if not done:
        raise ValueError(f"OpenCV cannot write a {ending} of shape {picture.shape}")
    return content.tobytes()
