"""Colour maps for U, V and control images, as tables of 256 colours."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

#: OpenCV's number of each map. Viridis and parula are what models that generate pictures of people
#: are trained on: MagicAnimate and its kin on viridis, the official project's own pictures of
#: parts are in parula.
COLORMAPS = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "parula": cv2.COLORMAP_PARULA,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "turbo": cv2.COLORMAP_TURBO,
    "magma": cv2.COLORMAP_MAGMA,
}


@lru_cache
def colormap(name: str) -> np.ndarray:
    """RGB uint8 (256, 3) of a map by its name; ValueError lists the names."""
    if name not in COLORMAPS:
        raise ValueError(f"colour map {name!r}; expected one of {', '.join(COLORMAPS)}")
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    table = cv2.applyColorMap(ramp, COLORMAPS[name])[:, 0, ::-1].copy()
    table.flags.writeable = False
    return table
