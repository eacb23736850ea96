"""Estimates the light on a person, separated from the colours of clothes and skin.

The idea is Retinex's: light changes slowly and does not change chromaticity; cloth changes abruptly
and changes it. Each body part is compared with its own median, pixels of another chromaticity or a
very different brightness count little, and the rest is smoothed.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..surface.parts import FINE_TO_COARSE

#: Width of the smoothing, as a share of the square root of the person's area.
WIDTH = 0.06
#: Width of the smoothing in the reduced picture that it is done on, pixels.
CELLS = 2.0
#: Differences of chromaticity and of log brightness at which a pixel's weight is halved.
CHROMATICITY, BRIGHTNESS = 0.12, 0.5
#: Grey levels that count as no light: keeps the noise of black cloth from looking like light.
DARK = 16
#: Bounds of the logarithm of the light.
DARKEST, BRIGHTEST = -0.8, 0.25


def shading_of(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Light on a person relative to the middle brightness of each of the 14 coarse parts.

    Args:
        picture: (h, w, 3) uint8 BGR.
        labels: (h, w) uint8, fine parts, 0 beside the person.

    Returns:
        (h, w) float32 factors, smooth, about 1.
    """
    person = (labels > 0).view(np.uint8)
    area = cv2.countNonZero(person)
    if not area:
        return np.ones(labels.shape, np.float32)
    step = max(1, round(WIDTH * area**0.5 / CELLS))
    # the picture's border is not an outline of the person
    inner = cv2.erode(person, np.ones((3, 3), np.uint8), borderValue=1)
    size = labels.shape[::-1]
    small = tuple(-(-length // step) for length in size)
    weight = _shrunk(inner * np.uint8(255), small, step).astype(np.float32) / 255
    colour = _shrunk(cv2.copyTo(picture, inner), small, step)
    colour = np.log(colour / np.maximum(weight, 1e-3)[..., None] + DARK)
    middle = [np.minimum(np.arange(n) * step + step // 2, m - 1) for n, m in zip(small, size)]
    parts = FINE_TO_COARSE[labels[middle[1][:, None], middle[0]]]
    brightness = colour @ np.array([0.114, 0.587, 0.299], np.float32)
    chromaticity = colour - brightness[..., None]
    light = np.zeros_like(brightness)
    for part in np.unique(parts[weight > 0.5]):
        here = (parts == part) & (weight > 0.5)
        if part == 0 or not here.any():
            continue
        off = brightness[here] - np.median(brightness[here])
        tint = chromaticity[here] - np.median(chromaticity[here], axis=0)
        light[here] = off
        weight[here] /= 1 + (off / BRIGHTNESS) ** 2 + ((tint / CHROMATICITY) ** 2).sum(-1)
    weight[parts == 0] = 0
    sigma = max(WIDTH * area**0.5 / step, 0.3)
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    # a weak prior of the part's median brightness, where nothing else is known
    light = cv2.GaussianBlur(light * weight, (0, 0), sigma) / (total + 0.02)
    light = np.exp(np.clip(light, DARKEST, BRIGHTEST))
    light = cv2.resize(light, (small[0] * step, small[1] * step), interpolation=cv2.INTER_LINEAR)
    return light[: labels.shape[0], : labels.shape[1]]


def _shrunk(values: np.ndarray, size: tuple[int, int], step: int) -> np.ndarray:
    """Means over cells of step x step pixels; the last cells may extend beyond the border."""
    height, width = values.shape[:2]
    padded = cv2.copyMakeBorder(
        values,
        *(0, size[1] * step - height, 0, size[0] * step - width),
        cv2.BORDER_REPLICATE,
    )
    return cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
