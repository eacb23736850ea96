"""The texture atlas: an image of 6 rows and 4 columns of square tiles, one for each part.

The layout is that of published DensePose textures: part p is in row (p - 1) % 6 and column
(p - 1) // 6; in its tile U runs from left to right and V from bottom to top. U = 0 is the centre of
the first column and U = 1 that of the last, so that bilinear interpolation never leaves a tile.

Shape letter: T side of a tile (200 in published atlases).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import numpy as np

from ..surface.parts import NUM_FINE_PARTS
from ..surface.raster import Buffers, rasterize
from ..surface.surface import BodySurface
from ..surface.vertex_charts import COLUMNS, ROWS
from ..visualization.picture_file import write_picture

#: Side of the tiles of published atlases; the default.
TILE = 200
#: Allowed sides of tiles.
SMALLEST, LARGEST = 4, 1024


@dataclass(frozen=True)
class Atlas:
    """Colours of the body's surface.

    Attributes:
        picture: (6T, 4T, 3) uint8 BGR.
        alpha: (6T, 4T) uint8, 0 where the colour is unknown; None if all colours are known.
    """

    picture: np.ndarray
    alpha: np.ndarray | None = None

    def __post_init__(self):
        shape = self.picture.shape
        tile = shape[0] // ROWS
        if shape != (ROWS * tile, COLUMNS * tile, 3) or not SMALLEST <= tile <= LARGEST:
            raise ValueError(
                f"an atlas of shape {shape}; expected (6T, 4T, 3), T from {SMALLEST} to {LARGEST}"
            )
        if self.picture.dtype != np.uint8:
            raise ValueError(f"an atlas of {self.picture.dtype}; expected uint8")
        if self.alpha is not None and (
            self.alpha.shape != shape[:2] or self.alpha.dtype != np.uint8
        ):
            raise ValueError(
                f"alpha of an atlas is {self.alpha.dtype} of shape {self.alpha.shape}; "
                f"expected uint8 of shape {shape[:2]}"
            )

    @property
    def tile(self) -> int:
        """T, the side of a tile."""
        return len(self.picture) // ROWS

    @cached_property
    def premultiplied(self) -> np.ndarray:
        """The picture times its alpha, which can be interpolated without black fringes."""
        if self.alpha is None:
            return self.picture
        return cv2.multiply(self.picture, cv2.merge([self.alpha] * 3), scale=1 / 255)

    @classmethod
    def read(cls, path: str | os.PathLike) -> Atlas:
        """An atlas from a picture file; a fourth channel is its alpha.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not a picture, or not one of an atlas.
        """
        content = np.frombuffer(Path(path).read_bytes(), np.uint8)
        picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
        if picture is None:
            raise ValueError(f"{path} is not a picture that OpenCV can read")
        if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype != np.uint8:
            raise ValueError(
                f"{path} has shape {picture.shape}, {picture.dtype}; expected 3 or 4 channels of "
                "8 bits"
            )
        alpha = np.ascontiguousarray(picture[:, :, 3]) if picture.shape[2] == 4 else None
        try:
            return cls(np.ascontiguousarray(picture[:, :, :3]), alpha)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def write(self, path: str | os.PathLike) -> None:
        """Writes a picture file, with alpha if there is any; raises what ``write_picture`` does."""
        whole = self.picture if self.alpha is None else np.dstack([self.picture, self.alpha])
        write_picture(path, whole)


def positions(
    parts: np.ndarray, u: np.ndarray, v: np.ndarray, tile: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of surface points in an atlas.

    Args:
        parts: 0..24, any shape; 0 (background) is treated as part 1.
        u, v: of the same shape; clamped to [0, 1].
        tile: T.

    Returns:
        column and row, float32; whole numbers are centres of texels.
    """
    column, row = _corners(tile)
    x = np.clip(u, 0, 1, dtype=np.float32)
    x *= tile - 1
    x += column[parts]
    y = np.clip(v, 0, 1, dtype=np.float32)
    y *= 1 - tile
    y += row[parts]
    return x, y


@lru_cache(maxsize=8)
def _corners(tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Column of U = 0 and row of V = 0 for each part, (25,) float32."""
    number = np.maximum(np.arange(NUM_FINE_PARTS + 1) - 1, 0)
    column = number // ROWS * tile
    row = number % ROWS * tile + tile - 1
    return column.astype(np.float32), row.astype(np.float32)


def texel_iuv(tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """I (6T, 4T) int64, U and V float64 of every texel: the inverse of ``positions``."""
    row, column = np.mgrid[: ROWS * tile, : COLUMNS * tile]
    part = row // tile + ROWS * (column // tile) + 1
    return part, column % tile / (tile - 1), 1 - row % tile / (tile - 1)


def tiles(atlas: np.ndarray) -> np.ndarray:
    """Tiles (24, T, T, ...) of an atlas (6T, 4T, ...), as a copy; tile p - 1 is part p's."""
    tile = len(atlas) // ROWS
    rest = atlas.shape[2:]
    cut = atlas.reshape(ROWS, tile, COLUMNS, tile, *rest)
    return cut.transpose(2, 0, 1, 3, *range(4, 4 + len(rest))).reshape(-1, tile, tile, *rest)


def untiled(parts: np.ndarray) -> np.ndarray:
    """The atlas (6T, 4T, ...) of tiles (24, T, T, ...)."""
    tile, rest = parts.shape[1], parts.shape[3:]
    cut = parts.reshape(COLUMNS, ROWS, tile, tile, *rest)
    return cut.transpose(1, 2, 0, 3, *range(4, 4 + len(rest))).reshape(
        ROWS * tile, COLUMNS * tile, *rest
    )


def draw_triangles(corner: np.ndarray, rank: np.ndarray, tile: int) -> Buffers:
    """The triangle that covers each texel of an atlas, and the texel's position on it.

    Args:
        corner: (F, 3, 2) columns and rows, as from ``positions``; each triangle within one tile.
        rank: (F,), 0 to 1; where triangles overlap, the one of the lowest rank wins.
        tile: T.
    """
    size = (ROWS * tile, COLUMNS * tile)
    # projected with focal length 1, so that texels are pixels at any depth
    depth = np.repeat(1 + rank, 3)[:, None]
    place = (corner.reshape(-1, 2) + 0.5 - [size[1] / 2, size[0] / 2]) * depth
    faces = np.arange(len(place)).reshape(-1, 3)
    return rasterize(np.hstack([place, depth]), faces, 1.0, size, two_sided=True)


@lru_cache(maxsize=4)
def charts_in_atlas(tile: int) -> Buffers:
    """Triangle of the open surface's charts at each texel, -1 beside the charts."""
    charts = BodySurface.load().charts
    place = np.stack(positions(charts.part, charts.uv[:, 0], charts.uv[:, 1], tile), 1)
    corner = place[charts.faces].astype(np.float64)
    return draw_triangles(corner, np.zeros(len(corner)), tile)
