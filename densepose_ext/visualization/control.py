"""Conditioning pictures for models that generate people (ControlNet, MagicAnimate, ...)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..structures import Person
from .colormaps import colormap
from .overlay import PAINTERS


def control_picture(
    people: Sequence[Person],
    size: tuple[int, int],
    quantity: str = "parts",
    colours: str = "viridis",
    black: bool = False,
) -> np.ndarray:
    """Draws people without the picture, in the colours that such models were trained on.

    MagicAnimate and similar models expect ``parts`` in viridis, on the first colour of viridis (a
    dark violet); models trained on the official project's drawings expect parula, mostly on black.

    Args:
        size: (H, W) of the picture.
        quantity: "parts", "u" or "v".
        colours: name of a colour map.
        black: make the background black instead of the map's first colour.

    Returns:
        BGR uint8 (H, W, 3), without blending or smoothing.
    """
    if quantity not in PAINTERS:
        raise ValueError(f"quantity {quantity!r}; expected one of {', '.join(PAINTERS)}")
    ground = np.zeros((*size, 3), np.uint8)
    if not black:
        ground[:] = colormap(colours)[0, ::-1]
    return PAINTERS[quantity](ground, people, 1.0, colours)
