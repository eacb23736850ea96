"""Draws the picture at the top of the README, with the shipped model.

    python tools/draw_front_picture.py docs/images/people.jpg

Run it again when the model changes, and check the result by eye. The photographs of scikit-image
are free: the cameraman is CC0, the astronaut (NASA) in the public domain.
"""

from __future__ import annotations

import argparse

import numpy as np
from skimage import data

from densepose_ext import DensePosePredictor
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings
from densepose_ext.visualization import draw_parts, draw_u, draw_v, side_by_side
from densepose_ext.visualization.picture_file import write_picture

HEIGHT = 190
#: People below this score are left out; the model's card lists its typical false positives.
MIN_SCORE = 0.9
#: Synthetic pictures that are in none of the package's datasets.
SETTINGS, NUMBERS = Settings(size=384, seed=90001, people=3), (2, 4, 7)


def pictures() -> list[np.ndarray]:
    """Pictures (H, W, 3) uint8 BGR."""
    cameraman = np.repeat(data.camera()[:, :, None], 3, axis=2)
    astronaut = data.astronaut()[:, 60:400]  # without the rocket beside her
    synthetic = [make_example(SETTINGS, "val", number).image for number in NUMBERS]
    return [np.ascontiguousarray(p[:, :, ::-1]) for p in (cameraman, astronaut, *synthetic)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", metavar="PICTURE")
    path = parser.parse_args().out
    predictor = DensePosePredictor(min_score=MIN_SCORE, device="cpu")
    shown = pictures()
    found = [predictor(picture) for picture in shown]
    rows = [shown]
    rows += [[draw(p, f) for p, f in zip(shown, found)] for draw in (draw_parts, draw_u, draw_v)]
    tiles = [tile for row in rows for tile in row]
    write_picture(path, side_by_side(tiles, columns=len(shown), height=HEIGHT))


if __name__ == "__main__":
    main()
