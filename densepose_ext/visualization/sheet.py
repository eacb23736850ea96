"""Pictures side by side, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import cv2
import numpy as np

from .compose import check_picture
from .text import line_height, text_mask, write_text

#: Colours of background and text.
PAPER, INK = (255, 255, 255), (40, 40, 40)
#: Space between pictures, pixels.
GAP = 8
#: Size of captions, pixels.
TEXT = 14


def side_by_side(
    pictures: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    columns: int | None = None,
    height: int = 320,
) -> np.ndarray:
    """Arranges pictures of one height in rows, each above its caption.

    Args:
        pictures: BGR (H, W, 3) uint8, of any sizes.
        captions: of the first pictures; cut to the width of their picture.
        columns: pictures per row; None puts all in one row.
        height: of each picture in the sheet, pixels.

    Returns:
        BGR uint8, on white.
    """
    if not pictures:
        raise ValueError("a sheet of no pictures")
    if len(captions) > len(pictures):
        raise ValueError(f"{len(captions)} captions of {len(pictures)} pictures")
    columns = len(pictures) if columns is None else columns
    if columns < 1 or height < 1:
        raise ValueError(f"{columns} columns of height {height}; expected 1 or more")
    tiles = [_scaled(picture, height) for picture in pictures]
    widths = [max(t.shape[1] for t in tiles[k::columns]) for k in range(min(columns, len(tiles)))]
    step = height + (line_height(TEXT) + 2 if captions else 0) + GAP
    rows = -(-len(tiles) // columns)
    paper = np.full((rows * step + GAP, sum(widths) + (len(widths) + 1) * GAP, 3), PAPER, np.uint8)
    for n, (tile, caption) in enumerate(zip_longest(tiles, captions, fillvalue="")):
        column = n % columns
        x = GAP + sum(widths[:column]) + column * GAP + (widths[column] - tile.shape[1]) // 2
        y = GAP + n // columns * step
        paper[y : y + height, x : x + tile.shape[1]] = tile
        write_text(paper, _cut(caption, tile.shape[1]), (x, y + height + 2), TEXT, INK)
    return paper


def _scaled(picture: np.ndarray, height: int) -> np.ndarray:
    check_picture(picture)
    if not picture.size:
        raise ValueError(f"a picture of shape {picture.shape}; expected at least one pixel")
    if len(picture) == height:
        return picture
    width = max(round(picture.shape[1] * height / len(picture)), 1)
    shrunk = height < len(picture)
    return cv2.resize(
        picture, (width, height), interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_CUBIC
    )


def _cut(text: str, width: int) -> str:
    """The text in one line, shortened with "…" to a width in pixels."""
    text = " ".join(text.split())
    if text_mask(text, TEXT).shape[1] <= width:
        return text
    while text and text_mask(text + "…", TEXT).shape[1] > width:
        text = text[:-1]
    return text + "…" if text else ""
