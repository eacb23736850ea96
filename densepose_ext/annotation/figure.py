"""The whole body in the colours of the regions, to tell left limbs from right ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..files.picture_encoding import encode_picture
from ..surface.body import vertex_normals
from ..surface.parts import FINE_TO_COARSE, NUM_COARSE_PARTS
from ..surface.raster import rasterize
from ..visualization.palette import PART_COLOURS
from .body import Body
from .views import DISTANCE

#: Width and height, pixels.
WIDTH, HEIGHT = 300, 440
#: Number of camera directions: every 45 degrees, from the front towards the person's left.
NUM_TURNS = 8


def region_colours() -> np.ndarray:
    """(15, 3) uint8 RGB: each region has the colour of its first part; 0 is black."""
    first = [int(np.argmax(region == FINE_TO_COARSE)) for region in range(NUM_COARSE_PARTS + 1)]
    return PART_COLOURS[first]


class Figure:
    """Renders a body from all around."""

    def __init__(self, body: Body):
        self._body = body
        self.picture = lru_cache(maxsize=NUM_TURNS)(self._picture)

    def _picture(self, turn: int) -> bytes:
        """A PNG file; ``turn`` is 0 (front) to 7."""
        body = self._body
        angle = 2 * np.pi * turn / NUM_TURNS
        towards = np.array([np.sin(angle), -np.cos(angle), 0])
        rotation = np.stack([np.cross(-towards, [0, 0, 1]), [0, 0, -1], -towards])
        low, high = body.places.min(0), body.places.max(0)
        points = (body.places - (low + high) / 2) @ rotation.T + [0, 0, DISTANCE]
        scale = 0.96 * min(HEIGHT / (high[2] - low[2]), WIDTH / np.ptp(body.places[:, 0]))
        drawn = rasterize(points, body.faces, scale * DISTANCE, (HEIGHT, WIDTH))
        picture = np.full((HEIGHT, WIDTH, 4), 0, np.uint8)
        face, weight = drawn.face[drawn.hit], drawn.barycentric[drawn.hit]
        normals = vertex_normals(points, body.faces)[body.faces[face]]
        shade = 0.55 + 0.45 * (-(normals * weight[..., None]).sum(1)[:, 2]).clip(0, 1)
        colours = region_colours()[body.face_region[face]] * shade[:, None]
        picture[drawn.hit] = np.concatenate(
            [colours[:, ::-1], np.full((len(face), 1), 255)], 1
        ).astype(np.uint8)
        return encode_picture(".png", picture)
