"""PyAV, if a recent enough version is installed."""

from __future__ import annotations

import numpy as np

try:
    import av

    # Old versions, which some versions of torchvision need, lack functions used here.
    if not hasattr(av.VideoFrame, "rotation"):
        av = None
except ImportError:
    av = None


def upright(frame) -> np.ndarray:
    """BGR (H, W, 3) of a PyAV frame, rotated upright by the angle that phones store with it."""
    picture = frame.to_ndarray(format="bgr24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def reason(error: Exception) -> str:
    """What an error of PyAV says, without the number and the file that it adds."""
    return getattr(error, "strerror", None) or str(error)
