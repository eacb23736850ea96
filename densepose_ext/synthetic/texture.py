"""Colours, noise and patterns of cloth, walls and floors.

Colours are sRGB, 0 to 255, float32. Cloth is coloured by the position on the body in its rest pose
(metres), so that patterns move with the body; walls by an image of the pattern.
"""

from collections.abc import Callable

import cv2
import numpy as np
import scipy.fft

#: Positions (n, 3) in metres -> colours (n, 3).
Solid = Callable[[np.ndarray], np.ndarray]
#: Draws an image when called.
Picture = Callable[[], np.ndarray]

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
    """A colour that is common in clothes."""
    if rng.random() < 0.55:
        colour = _CLOTH[rng.integers(len(_CLOTH))] * rng.uniform(0.8, 1.15)
        return np.clip(colour + rng.normal(0, 6, 3), 0, 255).astype(np.float32)
    return any_colour(rng)


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, channels: int = 1, slope: float = 1.5
) -> np.ndarray:
    """Noise (H, W, channels) of standard deviation 1, with amplitudes of frequency^-slope."""
    planes = plan_noise(rng, height, width, channels, slope)()
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def plan_noise(
    rng: np.random.Generator, height: int, width: int, channels: int = 1, slope: float = 1.5
) -> Callable[[], np.ndarray]:
    """``fractal_noise``, as (channels, H, W): draws random numbers now, computes when called."""
    side = int(cv2.getOptimalDFTSize(max(height, width)))
    stretch = rng.uniform(0.5, 2.0)
    spectra = rng.standard_normal((channels, 2, side, side // 2 + 1), np.float32)

    def noise() -> np.ndarray:
        half = side // 2 + 1
        fy, fx = np.fft.fftfreq(side)[:half, None], np.fft.rfftfreq(side)[None]
        frequency = np.hypot(fy, fx * stretch)
        frequency[0, 0] = np.inf
        amplitude = (frequency**-slope).astype(np.float32)
        # negative frequencies mirror the positive ones
        amplitude = np.concatenate([amplitude, amplitude[side - half : 0 : -1]])
        planes = np.empty((channels, side, side), np.float32)
        for plane, (real, imaginary) in zip(planes, spectra):
            spectrum = np.empty(amplitude.shape, np.complex64)
            np.multiply(real, amplitude, out=spectrum.real)
            np.multiply(imaginary, amplitude, out=spectrum.imag)
            # one axis after the other: bit for bit numpy.fft.irfft2, in half the time
            waves = scipy.fft.ifft(spectrum, axis=0, overwrite_x=True)
            plane[:] = scipy.fft.irfft(waves, side, axis=1)
            plane /= plane.std() + 1e-9
        return planes[:, :height, :width]

    return noise


def solid_noise(
    rng: np.random.Generator, scale: float, waves: int = 5, upright: float = 1.0
) -> Callable:
    """Smooth noise at positions in metres, about -1 to 1; ``scale`` in radians per metre.

    ``upright`` below 1 stretches the noise along z, into strands.
    """
    directions = rng.normal(0, scale, (waves, 3)) * rng.uniform(0.5, 2, (waves, 1))
    directions[:, 2] *= upright
    directions, phase = directions.astype(np.float32), rng.uniform(0, 2 * np.pi, waves)
    factor = np.float32(np.sqrt(2 / waves))
    phase = phase.astype(np.float32)

    def noise(places: np.ndarray) -> np.ndarray:
        # one wave after the other: numpy is slow at summing over a short last axis
        return _added(np.sin(directions @ places.T + phase[:, None])) * factor

    return noise


def _added(values: np.ndarray) -> np.ndarray:
    """Sum (n,) of values (k, n), k below 16, in the order in which numpy sums an array (n, k)."""
    if len(values) < 8:
        return values.sum(0)
    pairs = values[0:8:2] + values[1:8:2]
    return sum(values[8:], (pairs[0] + pairs[1]) + (pairs[2] + pairs[3]))


def cloth(rng: np.random.Generator) -> Solid:
    """Random colours of a piece of cloth: plain, woven, striped, checked or printed."""
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


def wall(rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """An image (size, size, 3) of a random wall: bricks, windows, leaves, ..."""
    return plan_wall(rng, size)()


def plan_wall(rng: np.random.Generator, size: int = 256, floor: bool = False) -> Picture:
    """``wall``, or a floor: draws random numbers now, computes when called."""
    kinds = _FLOORS if floor else _WALLS
    kind = rng.choice(list(kinds), p=list(kinds.values()))
    a, b = any_colour(rng, 0.5 * rng.beta(1, 2.5)), any_colour(rng)
    noise = plan_noise(rng, size, size, 1, rng.uniform(1.0, 2.0))
    strength = rng.uniform(3, 14)
    pattern = _PATTERNS[kind](rng, size, b[:, None, None])

    def picture() -> np.ndarray:
        y, x = (way.astype(np.float32) / size for way in np.ogrid[:size, :size])
        return as_picture(pattern(a[:, None, None] + noise() * strength, x, y))

    return picture


def as_picture(planes: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) from channel planes (3, H, W), which are faster to compute on."""
    return np.ascontiguousarray(np.clip(planes, 0, 255).transpose(1, 2, 0), np.float32)


#: Draws a pattern over a plain image (3, H, W), given x (1, W) and y (H, 1) from 0 to 1.
_Pattern = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _plaster(rng, size: int, colour: np.ndarray) -> _Pattern:
    return lambda plain, x, y: plain


def _bricks(rng, ratio: float, shift: float, colour: np.ndarray, rows: int) -> _Pattern:
    """Bricks or tiles, ``ratio`` times as wide as high, with joints of the given colour."""
    table = _cell_table(rng)

    def pattern(plain, x, y):
        moved = shift * (np.floor(y * rows) % 2) if shift else 0.0
        across, up = x * rows / ratio + moved, y * rows
        joint = (across % 1 < 0.05) | (up % 1 < 0.07)
        result = plain * (0.85 + 0.3 * _cells(table, across, up))
        return np.where(joint, result * 0.5 + colour * 0.5, result)

    return pattern


def _brick(rng, size: int, colour: np.ndarray) -> _Pattern:
    rows = rng.integers(4, 20)
    return _bricks(rng, rng.uniform(1.5, 3), 0.5, colour, rows)


def _tiles(rng, size: int, colour: np.ndarray) -> _Pattern:
    return _bricks(rng, 1.0, 0.0, colour, rng.integers(4, 20))


def _planks(rng, size: int, colour: np.ndarray) -> _Pattern:
    rows = rng.integers(3, 14)
    table = _cell_table(rng)
    noise = plan_noise(rng, size, size, 1, 1.2)

    def pattern(plain, x, y):
        tone = _cells(table, x * 1.5 + np.floor(y * rows) * 0.37, y * rows)
        grain = cv2.GaussianBlur(noise()[0], (0, 0), sigmaX=9, sigmaY=0.6)
        result = plain * (0.8 + 0.3 * tone) + grain * 25
        result[:, (y[:, 0] * rows) % 1 < 0.04] *= 0.5
        return result

    return pattern


def _windows(rng, size: int, colour: np.ndarray) -> _Pattern:
    rows, columns = rng.integers(2, 7, 2)
    left, top = rng.uniform(0.12, 0.3, 2)
    table = _cell_table(rng)
    glass = any_colour(rng, 0.2)[:, None, None] * 0.6

    def pattern(plain, x, y):
        u, v = (x * columns) % 1, (y * rows) % 1
        pane = (u > left) & (u < 1 - left) & (v > top) & (v < 1 - 0.5 * top)
        tone = _cells(table, x * columns, y * rows)
        result = np.where(pane, glass * (0.5 + tone) + 30 * (1 - y), plain)
        frame = pane & ((np.abs(u - 0.5) < 0.02) | (np.abs(v - 0.55) < 0.02))
        return np.where(frame, colour, result)

    return pattern


def _leaves(rng, size: int, colour: np.ndarray) -> _Pattern:
    green = np.array([rng.uniform(30, 110), rng.uniform(70, 140), rng.uniform(20, 70)])
    noise = plan_noise(rng, size, size, 3, rng.uniform(0.7, 1.3))
    blossom = any_colour(rng)[:, None, None]

    def pattern(plain, x, y):
        layers = noise()
        leaves = green[:, None, None] * (0.75 + 0.35 * layers[:1]) + layers * 12
        return np.where(layers[1] > 1.6, blossom, leaves)

    return pattern


def _stripes(rng, size: int, colour: np.ndarray) -> _Pattern:
    angle, rows, level = rng.uniform(0, np.pi), rng.integers(3, 25), rng.uniform(-0.7, 0.7)

    def pattern(plain, x, y):
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * rows * 2 * np.pi)
        return np.where(wave > level, plain, plain * 0.3 + colour * 0.7)

    return pattern


def _books(rng, poster: bool) -> _Pattern:
    """Rows of upright boxes of many colours and heights."""
    rows = rng.integers(2, 6)
    books = rng.integers(4, 30)
    colours, heights = _cell_table(rng, 3), _cell_table(rng)
    vivid = rng.uniform(0.2, 0.9)

    def pattern(plain, x, y):
        tone = _cells(colours, x * books, y * rows)
        gap = _cells(heights, x * books, y * rows)[0] * 0.6
        inside = ((y * rows) % 1 > gap) & ((y * rows) % 1 < 0.93)
        muted = tone.mean(0, keepdims=True)
        tone = (muted + (tone - muted) * vivid) * 220 + 15
        if poster:
            return np.where(inside & (x > 0.3) & (x < 0.7), tone, plain)
        return np.where(inside, tone, plain * 0.7)

    return pattern


def _poster(rng, size: int, colour: np.ndarray) -> _Pattern:
    return _books(rng, poster=True)


def _shelves(rng, size: int, colour: np.ndarray) -> _Pattern:
    return _books(rng, poster=False)


def _stone(rng, size: int, colour: np.ndarray) -> _Pattern:
    noise, strength = plan_noise(rng, size, size, 1, 0.8), rng.uniform(5, 30)
    return lambda plain, x, y: plain + noise() * strength


#: Pattern: function of the image size and a second colour.
_PATTERNS = {
    "plaster": _plaster, "brick": _brick, "tiles": _tiles, "planks": _planks, "windows": _windows,
    "leaves": _leaves, "stripes": _stripes, "poster": _poster, "shelves": _shelves,
    "stone": _stone,
}  # fmt: skip


def _cell_table(rng, channels: int = 1) -> np.ndarray:
    """Random values in [0, 1) for the cells of a grid: (64, 64, channels)."""
    return rng.random((64, 64, channels), np.float32)


def _cells(table: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Values (channels, H, W) of the cells that contain u and v, which broadcast to (H, W)."""
    rows, columns = (np.floor(way).astype(int) % len(table) for way in (v, u))
    cell = rows * len(table) + columns
    return np.stack([values.ravel()[cell] for values in table.transpose(2, 0, 1)])
