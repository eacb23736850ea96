"""Six rendered views of each body region, and the surface point under a click.

Annotators click on one of the views where the point of the image lies (the paper, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from ..files.cache import build_once
from ..files.picture_encoding import encode_picture
from ..surface.body import vertex_normals
from ..surface.parts import COARSE_PART_NAMES, NUM_COARSE_PARTS
from ..surface.raster import project, rasterize
from ..visualization.palette import PART_COLOURS
from .body import Body

#: Part of the names of cache files; increased whenever rendering changes.
FORMAT_VERSION = 1
#: Side of a view, pixels.
SIDE = 480
NUM_VIEWS = 6
#: Distance of the camera from the region, metres; large, for little perspective distortion.
DISTANCE = 12.0
#: Share of a view's side that the region fills.
FILLED = 0.9
#: A point is visible if its depth differs from the rendered depth by less than this, metres.
BEHIND = 0.004
#: Regions seen from the six sides of a cube; limbs are seen from six directions around their axis.
_COMPACT = ("torso", "head", "left foot", "right foot")
#: RGB of neighbouring regions, and of the background.
_CONTEXT, _GROUND = (214, 216, 220), (250, 250, 251)


@dataclass(frozen=True)
class SurfacePoint:
    """A point of the body.

    Attributes:
        part, u, v: I (1..24), U and V.
        vertex: nearest vertex of the mesh.
        place: (3,) position, metres.
    """

    part: int
    u: float
    v: float
    vertex: int
    place: np.ndarray


@dataclass(frozen=True)
class View:
    """One view of a region.

    Attributes:
        rotation: (3, 3); its rows are the camera's right, down and forward axes.
        middle: (3,) position at the centre of the view, metres.
        scale: pixels per metre at ``middle``.
        face: (S, S) int32, triangle of the region at each pixel; -1 for none.
        depth: (S, S) float16, metres behind ``middle``.
        picture: a PNG file.
    """

    rotation: np.ndarray
    middle: np.ndarray
    scale: float
    face: np.ndarray
    depth: np.ndarray
    picture: bytes

    def project(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Projects positions (P, 3): pixels (P, 2), and whether they are visible (P,)."""
        points = (places - self.middle) @ self.rotation.T
        side = len(self.face)
        pixels = project(points + [0, 0, DISTANCE], self.scale * DISTANCE, (side, side))
        column, row = np.floor(pixels).astype(int).T.clip(0, side - 1)
        # The neighbouring pixels count, too: a point on an outline may project just outside it.
        seen = np.zeros(len(places), bool)
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                depth = self.depth[
                    (row + down).clip(0, side - 1), (column + across).clip(0, side - 1)
                ]
                seen |= np.abs(points[:, 2] - depth) < BEHIND
        return pixels, seen


#: Numerical fields of a view, in the order of its definition.
_ARRAYS = ("rotation", "middle", "scale", "face", "depth")


class Views:
    """The views of all regions of a body.

    They are rendered on demand, in about a second per region, and cached on disk.
    """

    def __init__(self, body: Body, side: int = SIDE):
        """
        Args:
            side: of the views, pixels.
        """
        self.body, self.side = body, side
        self.of = lru_cache(maxsize=None)(self._of)

    def _of(self, region: int) -> tuple[View, ...]:
        if not 1 <= region <= NUM_COARSE_PARTS:
            raise ValueError(f"region {region}, expected 1 to {NUM_COARSE_PARTS}")
        name = f"annotation-views-v{FORMAT_VERSION}-{self._key}-{self.side}-{region}.npz"
        path = build_once(name, lambda temporary: _write(temporary, self._rendered(region)))
        return _read(path)

    @cached_property
    def _key(self) -> str:
        """A hash of the body and its charts."""
        charts = self.body.charts
        arrays = (self.body.places, charts.faces, charts.part, charts.uv, charts.vertex)
        return sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]

    def _rendered(self, region: int) -> tuple[View, ...]:
        body = self.body
        own = np.flatnonzero(body.face_region == region)
        places = body.places[np.unique(body.faces[own])]
        up, front = self._axes(region, places)
        # All views share middle and scale, so that the region turns in place from one to the next.
        low, high = places.min(0), places.max(0)
        middle = (low + high) / 2
        reach = np.linalg.norm(places - middle, axis=1).max()
        scale = FILLED * self.side / 2 / reach
        normals = vertex_normals(body.places, body.faces)
        return tuple(
            _render(body, own, normals, rotation, middle, scale, self.side)
            for rotation in _rotations(up, front, COARSE_PART_NAMES[region] in _COMPACT)
        )

    def _axes(self, region: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors: up in the views, and from the region to the first camera."""
        up = np.array([0.0, 0, 1])
        if COARSE_PART_NAMES[region] not in _COMPACT:
            centred = places - places.mean(0)
            up = np.linalg.eigh(centred.T @ centred)[1][:, -1]
            torso = self.body.places[self.body.faces[self.body.face_region == 1]].mean((0, 1))
            up = up if up @ (torso - places.mean(0)) > 0 else -up
        front = np.array([0.0, -1, 0])
        front = front - (front @ up) * up
        return up, front / np.linalg.norm(front)

    def click(self, region: int, view: int, x: float, y: float) -> SurfacePoint | None:
        """The surface point at a pixel of a view; None if the region is not there.

        Args:
            x, y: pixels from the upper left corner of the view.
        """
        found = self.of(region)[view]
        column, row = int(np.floor(x)), int(np.floor(y))
        if not (0 <= column < self.side and 0 <= row < self.side) or found.face[row, column] < 0:
            return None
        face = found.face[row, column]
        weight = self._weight(found, face, x, y)
        part, u, v = (value[0] for value in self.body.charts.iuv(face[None], weight[None]))
        place = weight @ self.body.places[self.body.faces[face]]
        u, v = (round(float(np.clip(value, 0, 1)), 5) for value in (u, v))
        return SurfacePoint(int(part), u, v, int(self.body.vertex(place[None])[0]), place)

    def _weight(self, view: View, face: int, x: float, y: float) -> np.ndarray:
        """Barycentric weights (3,) where the ray through a pixel meets a triangle."""
        corners = (self.body.places[self.body.faces[face]] - view.middle) @ view.rotation.T
        focal = view.scale * DISTANCE
        middle = self.side / 2
        ray = np.array([(x - middle) / focal, (y - middle) / focal, 1])
        # Solves corners @ weight = ray up to scale, which the division removes.
        weight = np.linalg.solve((corners + [0, 0, DISTANCE]).T, ray).clip(0)
        return weight / weight.sum()

    def marks(self, region: int, part: int, u: float, v: float) -> list[tuple[float, float, bool]]:
        """x, y and visibility of a surface point in each view of a region."""
        place = self.body.points(*(np.array([value]) for value in (part, u, v)))
        marks = []
        for view in self.of(region):
            pixels, seen = view.project(place)
            marks.append((float(pixels[0, 0]), float(pixels[0, 1]), bool(seen[0])))
        return marks


def _write(path: Path, views: tuple[View, ...]) -> None:
    pictures = [np.frombuffer(view.picture, np.uint8) for view in views]
    arrays = {name: np.stack([getattr(view, name) for view in views]) for name in _ARRAYS}
    with open(path, "wb") as stream:
        np.savez_compressed(
            stream,
            pictures=np.concatenate(pictures),
            ends=np.cumsum([len(picture) for picture in pictures]),
            **arrays,
        )


def _read(path: Path) -> tuple[View, ...]:
    with np.load(path) as kept:
        pictures = np.split(kept["pictures"], kept["ends"][:-1])
        columns = [kept[name] for name in _ARRAYS]
    return tuple(View(*values, picture.tobytes()) for *values, picture in zip(*columns, pictures))


def _rotations(up: np.ndarray, front: np.ndarray, is_compact: bool) -> list[np.ndarray]:
    """Rotations (3, 3) of six cameras. The first looks from the front."""
    aside = np.cross(up, front)
    if not is_compact:
        angles = np.arange(NUM_VIEWS) * 2 * np.pi / NUM_VIEWS
        return [_camera(np.cos(a) * front + np.sin(a) * aside, up) for a in angles]
    around = [_camera(way, up) for way in (front, aside, -front, -aside)]
    return [*around, _camera(up, -front), _camera(-up, front)]


def _camera(towards: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rotation of a camera that is placed in a direction from the body and looks at it."""
    forward = -towards
    right = np.cross(forward, up)
    return np.stack([right, -up, forward])


def _render(body: Body, own, normals, rotation, middle, scale, side: int) -> View:
    points = (body.places - middle) @ rotation.T + [0, 0, DISTANCE]
    focal, size = scale * DISTANCE, (side, side)
    buffers = rasterize(points, body.faces[own], focal, size)
    face = np.where(buffers.hit, own[buffers.face], -1).astype(np.int32)
    context = rasterize(points, body.faces, focal, size)

    picture = np.full((side, side, 3), _GROUND, np.float32)
    light = rotation.T @ np.array([-0.35, -0.45, -0.82])
    for hit, chosen, weight, colours in (
        (context.hit, context.face, context.barycentric, np.float32(_CONTEXT)[None]),
        (buffers.hit, face, buffers.barycentric, _tints(body)),
    ):
        normal = (normals[body.faces[chosen[hit]]] * weight[hit][..., None]).sum(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        shade = 0.42 + 0.58 * (normal @ light).clip(0, 1)
        colour = colours[body.charts.face_part[chosen[hit]] % len(colours)]
        # Neighbouring regions are pale, so that the region stands out.
        shade = 0.9 + 0.1 * shade if len(colours) == 1 else shade
        picture[hit] = colour * shade[:, None]
    lines = _lines(body, face, buffers)
    picture[lines] *= 0.8
    depth = np.where(buffers.hit, buffers.depth - DISTANCE, np.inf).astype(np.float16)
    bgr = np.ascontiguousarray(np.rint(picture[:, :, ::-1]).clip(0, 255).astype(np.uint8))
    picture = encode_picture(".png", bgr)
    return View(rotation, middle, scale, face, depth, picture)


def _tints(body: Body) -> np.ndarray:
    """(25, 3) float32 RGB of the parts, mixed with white."""
    return 0.5 * PART_COLOURS.astype(np.float32) + 0.5 * 255


def _lines(body: Body, face: np.ndarray, buffers) -> np.ndarray:
    """(S, S) bool: lines of equal U and V at tenths, for orientation."""
    hit = buffers.hit
    steps = np.zeros((*hit.shape, 3), np.int32)
    part, u, v = body.charts.iuv(face[hit], buffers.barycentric[hit])
    steps[hit] = np.stack([part, np.floor(u * 10), np.floor(v * 10)], 1)
    lines = np.zeros(hit.shape, bool)
    for axis in (0, 1):
        lines |= (steps != np.roll(steps, 1, axis)).any(2) & np.roll(hit, 1, axis)
    return lines & hit
