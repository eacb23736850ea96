"""Colours, noise and patterns: of cloth on the body, of walls and floors around it.

Colours are sRGB, 0 to 255, float32. Cloth is coloured by the place on the body at rest (metres), so
that a pattern stays where it is however the body moves; walls by a picture of the pattern.
"""

from collections.abc import Callable

import cv2
import numpy as np

#: A colour for places (n, 3) in metres: (n, 3).
Solid = Callable[[np.ndarray], np.ndarray]

_CLOTH = np.array(
    [
        [22, 22, 26], [240, 240, 238], [128, 130, 134], [70, 74, 80], [28, 36, 66], [60, 84, 122],
        [96, 122, 160], [186, 170, 140], [92, 74, 56], [84, 90, 62], [150, 32, 36], [200, 190, 176],
    ],
    np.float32,
)  # fmt: skip


def any_colour(rng: np.random.Generator, saturation: float | None = None) -> np.ndarray:
    """A colour of any hue, more often muted than vivid."""
    hue, value = rng.uniform(0, 180), 255 * rng.beta(1.8, 1.4)
    sat = 255 * (rng.beta(1.2, 2.2) if saturation is None else saturation)
    pixel = np.array([[[hue, sat, value]]], np.float32).astype(np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def cloth_colour(rng: np.random.Generator) -> np.ndarray:
    """A colour that clothes have."""
    if rng.random() < 0.55:
        colour = _CLOTH[rng.integers(len(_CLOTH))] * rng.uniform(0.8, 1.15)
        return np.clip(colour + rng.normal(0, 6, 3), 0, 255).astype(np.float32)
    return any_colour(rng)


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, channels: int = 1, slope: float = 1.5
) -> np.ndarray:
    """Noise (H, W, channels) with amplitudes falling as frequency^-slope; deviation 1."""
    side = int(cv2.getOptimalDFTSize(max(height, width)))
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    frequency = np.hypot(fy, fx * rng.uniform(0.5, 2.0))
    frequency[0, 0] = np.inf
    amplitude = (frequency**-slope).astype(np.float32)
    planes = []
    for _ in range(channels):
        spectrum = rng.standard_normal((2, side, side // 2 + 1), np.float32)
        plane = np.fft.irfft2((spectrum[0] + 1j * spectrum[1]) * amplitude, s=(side, side))
        planes.append(plane / (plane.std() + 1e-9))
    return np.stack(planes, -1)[:height, :width].astype(np.float32)


def solid_noise(
    rng: np.random.Generator, scale: float, waves: int = 5, upright: float = 1.0
) -> Callable:
    """Smooth noise over places in metres, about -1 to 1; `scale` in radians a metre.

    `upright` below 1 draws the noise out along z, as strands.
    """
    directions = rng.normal(0, scale, (waves, 3)) * rng.uniform(0.5, 2, (waves, 1))
    directions[:, 2] *= upright
    directions, phase = directions.astype(np.float32), rng.uniform(0, 2 * np.pi, waves)
    factor = np.float32(np.sqrt(2 / waves))
    phase = phase.astype(np.float32)

    def noise(places: np.ndarray) -> np.ndarray:
        return np.sin(places @ directions.T + phase).sum(1) * factor

    return noise


def cloth(rng: np.random.Generator) -> Solid:
    """The colours of a piece of cloth: plain, woven, striped, checked, printed."""
    kinds = ("plain", "denim", "stripe", "upright", "check", "blotch", "dots", "flowers", "print",
             "block", "knit")  # fmt: skip
    kind = rng.choice(kinds, p=[0.36, 0.1, 0.09, 0.05, 0.08, 0.07, 0.04, 0.05, 0.09, 0.04, 0.03])
    a, b, c = cloth_colour(rng), cloth_colour(rng), cloth_colour(rng)
    pitch = np.exp(rng.uniform(np.log(30), np.log(220)))
    duty = rng.uniform(-0.7, 0.7)
    grain, worn = solid_noise(rng, 260), solid_noise(rng, 12)
    blotch = solid_noise(rng, rng.uniform(18, 70))
    second = solid_noise(rng, rng.uniform(18, 70))
    level = rng.uniform(0.15, 0.5)
    motif = rng.normal(0, 0.02), rng.uniform(0.38, 0.48), rng.uniform(0.05, 0.11)
    strength = rng.uniform(0.01, 0.05)
    if kind == "denim":
        a = np.array([rng.uniform(20, 80), rng.uniform(40, 100), rng.uniform(80, 150)])

    def colour(p: np.ndarray) -> np.ndarray:
        t = np.zeros(len(p), np.float32)
        if kind == "stripe":
            t = (np.sin(p[:, 2] * pitch) > duty).astype(np.float32)
        elif kind == "upright":
            t = (np.sin(p[:, 0] * pitch) > duty).astype(np.float32)
        elif kind == "check":
            t = 0.5 * (np.sin(p[:, 2] * pitch) > duty) + 0.5 * (np.sin(p[:, 0] * pitch) > duty)
        elif kind == "blotch":
            t = np.clip(0.5 + 2 * blotch(p), 0, 1)
        elif kind == "dots":
            t = np.sin(p[:, 2] * pitch) * np.sin((p[:, 0] + p[:, 1]) * pitch) > 0.5
        elif kind == "block":
            t = p[:, 2] > level
        elif kind == "denim":
            t = 0.25 + 0.18 * worn(p)
        elif kind == "knit":
            t = 0.15 * np.sin(p[:, 0] * 700)
        t = np.asarray(t, np.float32)[:, None]
        result = a * (1 - t) + (a * 1.5 + 30 if kind == "denim" else b) * t
        if kind == "flowers":
            result = np.where((blotch(p) > 0.55)[:, None], b, result)
            result = np.where((second(p) > 0.75)[:, None], c, result)
        if kind == "print":
            inside = (np.hypot(p[:, 0] - motif[0], p[:, 2] - motif[1]) < motif[2]) & (p[:, 1] < 0)
            result = np.where((inside & (blotch(p * 3) > -0.2))[:, None], b, result)
            result = np.where((inside & (second(p * 3) > 0.5))[:, None], c, result)
        return result * (1 + strength * grain(p) + 0.04 * worn(p))[:, None]

    return colour


_WALLS = {
    "plaster": 0.26, "brick": 0.1, "tiles": 0.07, "planks": 0.1, "windows": 0.16, "leaves": 0.13,
    "stripes": 0.03, "poster": 0.04, "shelves": 0.05, "stone": 0.06,
}  # fmt: skip
_FLOORS = {
    "plaster": 0.25, "stone": 0.2, "planks": 0.2, "tiles": 0.14, "brick": 0.08, "leaves": 0.13,
}  # fmt: skip


def wall(rng: np.random.Generator, size: int = 256, floor: bool = False) -> np.ndarray:
    """A picture (size, size, 3) of a wall, a front of windows, leaves, ..., or of a floor."""
    kinds = _FLOORS if floor else _WALLS
    kind = rng.choice(list(kinds), p=list(kinds.values()))
    a, b = any_colour(rng, 0.5 * rng.beta(1, 2.5)), any_colour(rng)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    noise = fractal_noise(rng, size, size, 1, rng.uniform(1.0, 2.0))
    picture = np.broadcast_to(a, (size, size, 3)) + noise * rng.uniform(3, 14)
    if kind in ("brick", "tiles"):
        rows = rng.integers(4, 20)
        ratio = rng.uniform(1.5, 3) if kind == "brick" else 1.0
        shift = 0.5 * (np.floor(y * rows) % 2) if kind == "brick" else 0.0
        u, v = (x * rows / ratio + shift) % 1, (y * rows) % 1
        tone = _cell_values(rng, x * rows / ratio + shift, y * rows)
        joint = (u < 0.05) | (v < 0.07)
        picture = picture * (0.85 + 0.3 * tone[..., None])
        picture[joint] = picture[joint] * 0.5 + b * 0.5
    elif kind == "planks":
        rows = rng.integers(3, 14)
        tone = _cell_values(rng, x * 1.5 + np.floor(y * rows) * 0.37, y * rows)
        grain = fractal_noise(rng, size, size, 1, 1.2)
        grain = cv2.GaussianBlur(grain, (0, 0), sigmaX=9, sigmaY=0.6)[..., None]
        picture = picture * (0.8 + 0.3 * tone[..., None]) + grain * 25
        picture[(y * rows) % 1 < 0.04] *= 0.5
    elif kind == "windows":
        rows, columns = rng.integers(2, 7, 2)
        u, v = (x * columns) % 1, (y * rows) % 1
        left, top = rng.uniform(0.12, 0.3, 2)
        pane = (u > left) & (u < 1 - left) & (v > top) & (v < 1 - 0.5 * top)
        tone = _cell_values(rng, x * columns, y * rows)
        glass = any_colour(rng, 0.2) * 0.6
        glass = glass * (0.5 + tone[..., None]) + 30 * (1 - y[..., None])
        picture = np.where(pane[..., None], glass, picture)
        frame = pane & ((np.abs(u - 0.5) < 0.02) | (np.abs(v - 0.55) < 0.02))
        picture[frame] = b
    elif kind == "leaves":
        green = np.array([rng.uniform(30, 110), rng.uniform(70, 140), rng.uniform(20, 70)])
        layers = fractal_noise(rng, size, size, 3, rng.uniform(0.7, 1.3))
        picture = green * (0.75 + 0.35 * layers[..., :1]) + layers * 12
        picture[layers[..., 1] > 1.6] = any_colour(rng)
    elif kind == "stripes":
        angle, rows = rng.uniform(0, np.pi), rng.integers(3, 25)
        t = np.sin((x * np.cos(angle) + y * np.sin(angle)) * rows * 2 * np.pi) > rng.uniform(
            -0.7, 0.7
        )
        picture = np.where(t[..., None], picture, picture * 0.3 + b * 0.7)
    elif kind in ("poster", "shelves"):
        rows = rng.integers(2, 6)
        books = rng.integers(4, 30)
        tone = _cell_values(rng, x * books, y * rows, channels=3)
        gap = _cell_values(rng, x * books, y * rows) * 0.6
        inside = ((y * rows) % 1 > gap) & ((y * rows) % 1 < 0.93)
        muted = tone.mean(-1, keepdims=True)
        tone = (muted + (tone - muted) * rng.uniform(0.2, 0.9)) * 220 + 15
        if kind == "shelves":
            picture = np.where(inside[..., None], tone, picture * 0.7)
        else:
            picture = np.where((inside & (x > 0.3) & (x < 0.7))[..., None], tone, picture)
    elif kind == "stone":
        picture = picture + fractal_noise(rng, size, size, 1, 0.8) * rng.uniform(5, 30)
    return np.clip(picture, 0, 255).astype(np.float32)


def _cell_values(rng, u, v, channels: int = 0) -> np.ndarray:
    """A random value in [0, 1) for each cell of a grid; (H, W) or (H, W, channels)."""
    table = rng.random((64, 64, max(channels, 1)), np.float32)
    values = table[np.floor(v).astype(int) % 64, np.floor(u).astype(int) % 64]
    return values if channels else values[..., 0]
