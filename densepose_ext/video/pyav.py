"""PyAV, where one is installed that is new enough."""

from __future__ import annotations

try:
    import av

    # Older ones, which torchvision's readers bring, lack what is used here.
    if not hasattr(av.VideoFrame, "rotation"):
        av = None
except ImportError:
    av = None
