"""The colours of the parts and of people."""

from __future__ import annotations

import numpy as np

from ..surface.parts import NUM_FINE_PARTS
from .colormaps import COLORMAPS, colormap


def _table(colours: str) -> np.ndarray:
    """RGB uint8 (N, 3), read-only, from hexadecimal notation."""
    table = np.array([list(bytes.fromhex(colour)) for colour in colours.split()], np.uint8)
    table.flags.writeable = False
    return table


# Each limb has a hue: left limbs are darker and slightly shifted in hue, backs are darker than
# fronts. Adjacent parts are at least 0.1 apart in OKLab; in the second table also under simulated
# protanopia and deuteranopia (Machado et al. 2009).

#: RGB (25, 3) of each fine part, by I; background (0) is black.
PART_COLOURS = _table("""
    000000
    3974c8 7db1fd  f45a7d bf3f9b  a96f1a b09c11
    01aabc 1e8c7a 57ebff 3cceb5  ca71bb 8b5fbd fdb9f0 c79afd
    fc938f ffc8a7 c34f4f de7a32  90c65b 6af1b2 578915 0ab277
    e1e262 ebad2f
""")

#: The same, safe for red-green colour blindness.
COLOUR_BLIND_PART_COLOURS = _table("""
    000000
    005794 4c93d5  8c5586 6e3969  c975a5 ea94c5
    ca4022 a22506 ff9077 ed6143  8991fd 6c72db d5dbfe aeb7fa
    e0c622 ffe765 9b8808 bca728  23be96 53deb5 14795f 209a7a
    bcfda1 93df72
""")

#: RGB (12, 3) that tells people apart: boxes, masks, tracks.
PERSON_COLOURS = _table("""
    ff6b5e 3fa7ff ffd23f 4ddb8b c77dff ff9f45 3fe0e0 ff7ac0 a6e34b 8fa3ff d9a679 e6e6e6
""")

#: Palettes that ``part_colours`` knows besides the colour maps.
PALETTES = {"default": PART_COLOURS, "colour-blind": COLOUR_BLIND_PART_COLOURS}


def part_colours(name: str = "default") -> np.ndarray:
    """RGB uint8 (25, 3), the colour of each fine part, by I.

    Args:
        name: one of ``PALETTES``, or a colour map, whose entry I * 255 / 24 (truncated) is the
            colour of part I, as in the official project. Background then has the map's first
            colour.
    """
    if name in PALETTES:
        return PALETTES[name]
    if name not in COLORMAPS:
        known = ", ".join([*PALETTES, *COLORMAPS])
        raise ValueError(f"palette {name!r}; expected one of {known}")
    return colormap(name)[np.arange(NUM_FINE_PARTS + 1) * 255 // NUM_FINE_PARTS]


def person_colour(number: int) -> tuple[int, int, int]:
    """RGB of person ``number`` (any int); colours repeat after twelve."""
    return tuple(PERSON_COLOURS[number % len(PERSON_COLOURS)].tolist())
