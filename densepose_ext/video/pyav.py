"""PyAV, if a recent enough version is installed."""

from __future__ import annotations

try:
    import av

    # Older versions, such as those that torchvision's readers need, lack functions used here.
    if not hasattr(av.VideoFrame, "rotation"):
        av = None
except ImportError:
    av = None
