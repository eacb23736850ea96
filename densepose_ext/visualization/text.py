"""Writes antialiased text, in any script that the font has."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def line_height(size: int) -> int:
    """Height of a line, ascenders and descenders included, pixels."""
    return sum(_font(size).getmetrics())


@lru_cache(maxsize=1024)
def text_mask(text: str, size: int) -> np.ndarray:
    """Coverage (line_height, w) uint8 of one line of text.

    Args:
        size: of the font, pixels.
    """
    width = max(int(np.ceil(_font(size).getlength(text))), 1)
    image = Image.new("L", (width, line_height(size)))
    ImageDraw.Draw(image).text((0, 0), text, fill=255, font=_font(size))
    mask = np.array(image)
    mask.flags.writeable = False
    return mask


def write_text(
    picture: np.ndarray, text: str, at: tuple[int, int], size: int, colour: tuple[int, int, int]
) -> None:
    """Writes a line into a picture, clipped at its border.

    Args:
        picture: (H, W, 3) uint8, modified in place.
        at: column and row of the line's upper left corner.
        size: of the font, pixels.
        colour: in the picture's channel order.
    """
    mask = text_mask(text, size)
    x, y = at
    rows = slice(max(y, 0), min(y + mask.shape[0], picture.shape[0]))
    columns = slice(max(x, 0), min(x + mask.shape[1], picture.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    mask = mask[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    weight = mask[..., None].astype(np.float32) / 255
    window = picture[rows, columns]
    window[:] = np.rint(window + weight * (np.float32(colour) - window))
