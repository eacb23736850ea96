"""The colours of the parts and of people."""

from __future__ import annotations

import numpy as np

from ..surface.parts import NUM_FINE_PARTS
from .colormaps import COLORMAPS, colormap


def _table(colours: str) -> np.ndarray:
    """RGB uint8 (N, 3), not writeable, of colours in hexadecimal notation."""
    table = np.array([list(bytes.fromhex(colour)) for colour in colours.split()], np.uint8)
    table.flags.writeable = False
    return table


#: RGB of each fine part by I; 0, background, is black. Shape (25, 3).
PART_COLOURS = _table("""
    000000 3370c7 84b6ff c447a5 ee5475 b18e05 bc6700 01967b 04919e 27e3bd 03ddf0 876bd0 ad5cb0
    c7b8fe f6a0f8 ffb164 feac9b b66c06 ca5843 47e2ae 9bd971 03976f 589328 e4a422 d5da5a
""")

#: The same for people who do not tell red from green.
COLOUR_BLIND_PART_COLOURS = _table("""
    000000 01588a 2c87c8 dfd330 fff56c dc89b6 bb6b97 974102 c35601 db6618 fe8541 2688ba 4ba7da
    5fbaee 9ad8ff fecc7f eca621 d69404 ae7808 4ac497 1da479 019069 056f50 dfd330 fff56c
""")

#: RGB of people told apart: boxes, masks, tracks. Shape (12, 3).
PERSON_COLOURS = _table("""
    ff6b5e 3fa7ff ffd23f 4ddb8b c77dff ff9f45 3fe0e0 ff7ac0 a6e34b 8fa3ff d9a679 e6e6e6
""")

#: What ``part_colours`` knows besides the colour maps.
PALETTES = {"default": PART_COLOURS, "colour-blind": COLOUR_BLIND_PART_COLOURS}


def part_colours(name: str = "default") -> np.ndarray:
    """RGB uint8 (25, 3), a colour for each fine part by I.

    Args:
        name: one of `PALETTES`; or of a colour map, which gives part I the colour number
            I * 255 / 24 (truncated), as the official project and models trained on its pictures
            have it. Background then has the map's first colour.
    """
    if name in PALETTES:
        return PALETTES[name]
    if name not in COLORMAPS:
        known = ", ".join([*PALETTES, *COLORMAPS])
        raise ValueError(f"palette {name!r}; expected one of {known}")
    return colormap(name)[np.arange(NUM_FINE_PARTS + 1) * 255 // NUM_FINE_PARTS]


def person_colour(number: int) -> tuple[int, int, int]:
    """RGB of person ``number`` (any int); colours repeat after the twelfth."""
    return tuple(PERSON_COLOURS[number % len(PERSON_COLOURS)].tolist())
