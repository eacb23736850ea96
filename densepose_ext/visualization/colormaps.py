"""Colour maps for U, V and control images, as tables of 256 colours."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

#: OpenCV's number of each map. Models that generate people are trained on two of them: MagicAnimate
#: and similar ones on viridis, others on the official project's drawings of parts, in parula.
COLORMAPS = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "parula": cv2.COLORMAP_PARULA,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "turbo": cv2.COLORMAP_TURBO,
    "magma": cv2.COLORMAP_MAGMA,
    "jet": cv2.COLORMAP_JET,
}


@lru_cache
def colormap(name: str) -> np.ndarray:
    """RGB uint8 (256, 3) of the map of a name; ValueError lists the names."""
    if name not in COLORMAPS:
        raise ValueError(f"colour map {name!r}; expected one of {', '.join(COLORMAPS)}")
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    table = cv2.applyColorMap(ramp, COLORMAPS[name])[:, 0, ::-1].copy()
    table.flags.writeable = False
    return table
