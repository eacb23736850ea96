"""Pictures of more than 8 bits per channel, scaled to 8."""

from __future__ import annotations

import numpy as np
from PIL import Image

#: Modes of one channel with more than 8 bits, which Pillow would convert to 8 by clipping.
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


def scaled_to_8_bits(picture: np.ndarray) -> np.ndarray:
    """A uint16 array as uint8: 65535 becomes 255."""
    return np.round(picture / np.float32(257)).astype(np.uint8)


def deep_grey(image: Image.Image) -> np.ndarray:
    """(H, W) uint8 of a Pillow image in one of DEEP_MODES; values above 65535 are clipped.

    Raises:
        ValueError: its pixels are not whole numbers.
    """
    grey = np.asarray(image)
    if not np.issubdtype(grey.dtype, np.integer):
        raise ValueError(f"its pixels are of {grey.dtype}; expected 8 or 16 bits")
    return scaled_to_8_bits(grey.clip(0, 65535).astype(np.uint16))
