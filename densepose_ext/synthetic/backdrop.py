"""Backgrounds: rooms, streets, greenery, studio walls, or photographs from a folder.

Rooms and streets are planes seen through the same camera as the people, so that floors run to the
horizon under their feet.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ..files.picture_reader import read_picture
from .texture import Picture, any_colour, as_picture, fractal_noise, plan_noise, plan_wall, wall

#: Lists of points are looked up in rows of this length: cv2.remap takes no row of 2^15 pixels.
REMAPPED_ROW = 256


@dataclass
class Camera:
    """A pinhole camera.

    Attributes:
        focal: focal length in pixels.
        size: (height, width).
        position: (3,) world, metres; z up, the ground at 0.
        rotation: (3, 3) world to camera (x right, y down, z forward).
    """

    focal: float
    size: tuple[int, int]
    position: np.ndarray
    rotation: np.ndarray

    def view(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in camera coordinates."""
        return (points - self.position) @ self.rotation.T

    def rays(self) -> np.ndarray:
        """World directions (H, W, 3) through the pixel centres, float32, scaled to depth 1."""
        height, width = self.size
        x = (np.arange(width) + 0.5 - width / 2) / self.focal
        y = (np.arange(height) + 0.5 - height / 2) / self.focal
        rotation = self.rotation.astype(np.float32)
        right, down, forward = rotation[:, :, None, None]
        x, y = x.astype(np.float32)[None], y.astype(np.float32)[:, None]
        return (x * right + y * down + forward).transpose(1, 2, 0)


def backdrop(
    rng: np.random.Generator, camera: Camera, pictures: list[Path] | None = None
) -> np.ndarray:
    """A background (H, W, 3), sRGB 0 to 255, float32."""
    if pictures:
        return _photograph(rng, camera.size, pictures[rng.integers(len(pictures))])
    kind = rng.choice(["room", "street", "green", "studio", "scatter"],
                      p=[0.32, 0.24, 0.18, 0.12, 0.14])  # fmt: skip
    if kind == "studio":
        image = _studio(rng, camera.size)
    elif kind == "scatter":
        image = _scatter(rng, camera.size)
    else:
        image = _planes(rng, camera, kind)
    if rng.random() < 0.45:
        _clutter(rng, image)
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(
            image, (0, 0), camera.size[0] / 512 * np.exp(rng.uniform(-0.7, 1.6))
        )
    return image


def read_photograph(path: Path) -> np.ndarray:
    """A photograph for backgrounds or clothes: (H, W, 3) uint8, RGB.

    Raises:
        ValueError: it cannot be read.
    """
    # OpenCV and Pillow decode JPEG differently, so OpenCV's images stay what they were.
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        picture = read_picture(path)
    return picture[:, :, ::-1]


def _photograph(rng, size, path: Path) -> np.ndarray:
    picture = read_photograph(path)
    scale = max(size[0] / picture.shape[0], size[1] / picture.shape[1])
    scale *= np.exp(rng.uniform(0, np.log(1.8)))
    width = max(int(np.ceil(picture.shape[1] * scale)), size[1])
    height = max(int(np.ceil(picture.shape[0] * scale)), size[0])
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(picture, (width, height), interpolation=mode)
    y, x = rng.integers(0, height - size[0] + 1), rng.integers(0, width - size[1] + 1)
    picture = picture[y : y + size[0], x : x + size[1]]
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(picture, np.float32)


def _studio(rng, size) -> np.ndarray:
    a = any_colour(rng, 0.4 * rng.random())
    b = np.clip(a * rng.uniform(0.4, 1.3), 0, 255)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    t = np.hypot(x / size[1] - rng.uniform(0.2, 0.8), y / size[0] - rng.uniform(0.0, 0.8))[
        ..., None
    ]
    return np.clip(a * (1 - t) + b * t + fractal_noise(rng, *size) * rng.uniform(1, 6), 0, 255)


def _scatter(rng, size) -> np.ndarray:
    """Layers of meaningless shapes and noise."""
    texture = cv2.resize(wall(rng), size[::-1], interpolation=cv2.INTER_LINEAR)
    other = cv2.resize(wall(rng), size[::-1], interpolation=cv2.INTER_LINEAR)
    blend = fractal_noise(rng, *size, 1, 1.7) > rng.normal(0, 0.6)
    image = np.where(blend, texture, other)
    return np.clip(image + fractal_noise(rng, *size, 3, 1.4) * rng.uniform(2, 12), 0, 255)


def _sample(texture: np.ndarray, u: np.ndarray, v: np.ndarray, metres: float) -> np.ndarray:
    """Colours (n, 3) of a repeating texture at plane coordinates (n,) in metres."""
    side = len(texture)
    # every other tile is mirrored, so that there are no seams
    u, v = (np.abs(way - 2 * np.floor(way / 2) - 1) for way in (u / metres, v / metres))
    shape = (-(-len(u) // REMAPPED_ROW), REMAPPED_ROW)
    columns, rows = (np.resize((w * (side - 1)).astype(np.float32), shape) for w in (u, v))
    colours = cv2.remap(
        texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )  # fmt: skip
    return colours.reshape(-1, 3)[: len(u)]


def _plane_depths(
    rng, camera: Camera, kind: str, rays: np.ndarray
) -> tuple[list[tuple[np.ndarray, str]], float]:
    """Ground, walls and, in a room, a ceiling; also returns the height of the walls, metres.

    Args:
        rays: (H, W, 3) of the camera.

    Returns:
        for each plane the depth (H, W) at which the rays meet it, and its name.
    """
    x, y, z = rays.transpose(2, 0, 1)
    px, py, pz = camera.position
    far = np.float32(1e6)

    def reach(distance, direction):
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.float32(distance) / direction
        return np.where((t > 0) & np.isfinite(t), t, far)

    half = rng.uniform(1.8, 5) if kind == "room" else rng.uniform(4, 12)
    depth = max(py, 0) + (rng.uniform(4, 9) if kind == "room" else rng.uniform(12, 40))
    height = rng.uniform(2.4, 3.6) if kind == "room" else rng.uniform(5, 14)
    height = max(height, pz + 0.5)
    half = max(half, abs(px) + 0.8)
    planes = [(reach(-pz, z), "ground"), (reach(depth - py, y), "back")]
    planes += [(reach(half - px, x), "right"), (reach(-half - px, x), "left")]
    if kind == "room":
        planes.append((reach(height - pz, z), "ceiling"))
    return planes, height


def _planes(rng, camera: Camera, kind: str) -> np.ndarray:
    """Ground, walls and sky, each a plane with a texture, fading with distance."""
    rays = camera.rays()
    x, y, z = rays.transpose(2, 0, 1)
    px, py, pz = camera.position
    planes, height = _plane_depths(rng, camera, kind, rays)
    nearest = np.minimum.reduce([t for t, _ in planes])
    image = np.empty((*camera.size, 3), np.float32)
    sky = any_colour(rng, rng.uniform(0.0, 0.4)) * 0.4 + 150
    if kind != "room":  # in a room, nothing is seen beyond the walls
        up = np.clip(z * 2.5, 0, 1)
        for plane, colour, lift in zip(image.transpose(2, 0, 1), sky, np.float64([10, 15, 30])):
            plane[:] = np.clip(colour * (1 - 0.25 * up) + lift * up, 0, 255)
        if rng.random() < 0.6:
            image += np.clip(fractal_noise(rng, *camera.size, 1, 2.0), 0, 2) * 25
    haze = any_colour(rng, 0.15) * 0.5 + 90
    sides = cache(plan_wall(rng))
    colours = image.reshape(-1, 3)
    for t, name in planes:
        here = np.flatnonzero(t <= nearest)
        if not len(here):
            continue
        near = np.minimum(t.ravel()[here], 300)
        at_x, at_y, at_z = (p + near * way.ravel()[here] for p, way in ((px, x), (py, y), (pz, z)))
        if name in ("ground", "ceiling"):
            u, v, shade = at_x, at_y, (0.75 if name == "ground" else 1.1)
        elif name == "back":
            u, v, shade = at_x, at_z, 0.95
        else:
            u, v, shade = at_y, at_z, 0.85
        texture = plan_wall(rng, floor=name == "ground")
        if name in ("left", "right"):
            texture = sides
        if kind == "green" and (name != "ground" or rng.random() < 0.6):
            texture = _plan_greenery(rng)
        shown = slice(None)
        if kind != "room" and name != "ground":
            if kind == "green":
                skyline = height * (0.5 + 0.06 * np.sin(u * 0.9) + 0.04 * np.sin(u * 2.3))
            else:  # houses of different heights
                heights = rng.uniform(0.35, 1.1, 64).astype(np.float32)
                skyline = height * heights[np.floor(u / rng.uniform(4, 9)).astype(int) % 64]
            shown = np.flatnonzero(at_z < skyline)
        metres = rng.uniform(1.0, 4.0)
        here, near, u, v = here[shown], near[shown], u[shown], v[shown]
        if len(here):
            colour = _sample(texture(), u, v, metres) * shade
            fade = np.exp(-near * (0.04 if kind == "room" else 0.02))[:, None]
            colour *= fade
            colour += haze * (1 - fade)
            colours[here] = colour
    return np.clip(image, 0, 255, out=image)


def _plan_greenery(rng) -> Picture:
    green = np.array([rng.uniform(40, 120), rng.uniform(70, 150), rng.uniform(20, 80)])
    noise = plan_noise(rng, 256, 256, 2, rng.uniform(0.6, 1.2))

    def picture() -> np.ndarray:
        tone, shade = noise()
        return as_picture(green[:, None, None] * (0.8 + 0.3 * tone) + shade * 14)

    return picture


def random_shape(rng, size, smallest: float, largest: float) -> np.ndarray:
    """Mask (H, W) of an ellipse, a board, a polygon or a thick line."""
    mask = np.zeros(size, np.uint8)
    extent = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
    centre = np.array([rng.uniform(-0.1, 1.1) * size[1], rng.uniform(-0.1, 1.1) * size[0]])
    kind, angle = rng.integers(4), rng.uniform(0, 360)
    if kind == 0:
        axes = (int(extent * rng.uniform(0.3, 1)) + 1, int(extent * rng.uniform(0.3, 1)) + 1)
        cv2.ellipse(mask, tuple(int(c) for c in centre), axes, angle, 0, 360, 1, -1)
    elif kind == 1:
        sides = (float(extent * rng.uniform(0.2, 2)), float(extent * rng.uniform(0.6, 3)))
        tilt = angle if rng.random() < 0.3 else float(rng.normal(0, 4))
        corners = cv2.boxPoints(((float(centre[0]), float(centre[1])), sides, tilt))
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    elif kind == 2:
        around = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        reach = extent * rng.uniform(0.4, 1, len(around))
        corners = centre + np.stack([reach * np.cos(around), reach * np.sin(around)], 1)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    else:
        path = centre + np.cumsum(rng.normal(0, extent * 0.8, (rng.integers(2, 5), 2)), 0)
        thickness = int(max(2, extent * rng.uniform(0.08, 0.4)))
        cv2.polylines(mask, [path.astype(np.int32)], False, 1, thickness)
    return mask > 0


def _clutter(rng, image: np.ndarray) -> None:
    """Draws random objects into the image."""
    size = image.shape[:2]
    for _ in range(rng.integers(2, 14)):
        mask = random_shape(rng, size, 6, size[0] * 0.3)
        if not mask.any():
            continue
        image[mask] = _shaded(rng, mask)


def _shaded(rng, mask: np.ndarray) -> np.ndarray:
    """Colours (n, 3) of a mask's pixels: a texture, shaded so that its border looks rounded."""
    colour = any_colour(rng)
    inside = np.flatnonzero(mask)
    if rng.random() < 0.4:
        texture = cv2.resize(wall(rng, 64), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        pixels = texture.reshape(-1, 3).take(inside, 0)
    else:
        pixels = np.tile(colour, (len(inside), 1))
    if rng.random() < 0.6:
        depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3).ravel()[inside]
        pixels *= (0.55 + 0.5 * np.sqrt(depth / (depth.max() + 1e-6)))[:, None]
    return np.clip(pixels, 0, 255, out=pixels)


def draw_obstacle(rng, image: np.ndarray) -> np.ndarray:
    """Draws an object in front of everything; returns its mask (H, W)."""
    size = image.shape[:2]
    mask = random_shape(rng, size, size[0] * 0.04, size[0] * 0.28)
    if mask.any():
        image[mask] = _shaded(rng, mask)
    return mask
