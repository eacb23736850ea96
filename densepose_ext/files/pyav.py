"""PyAV, or None where it is missing or too old."""

from __future__ import annotations

import numpy as np

try:
    import av

    # torchvision may have brought a version without the attributes used here
    if not hasattr(av.VideoFrame, "rotation"):
        av = None
except ImportError:
    av = None


def upright(frame) -> np.ndarray:
    """BGR (H, W, 3) of a PyAV frame, rotated upright: phones store the angle, counter-clockwise."""
    picture = frame.to_ndarray(format="bgr24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
