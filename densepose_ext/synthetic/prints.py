"""Clothes printed with patches of photographs, whose textures are richer than any drawn pattern."""

from pathlib import Path

import cv2
import numpy as np

from .backdrop import read_photograph
from .scene import RenderedPerson
from .texture import Solid

#: Share of tops and bottoms that are printed.
RATE = 0.5
#: Side of the patches, in pixels.
SIDE = 256
#: Width of a patch on the body, metres.
NARROWEST, WIDEST = 0.15, 1.2


def print_clothes(
    rng: np.random.Generator, people: list[RenderedPerson], pictures: list[Path]
) -> None:
    """Prints clothes of people with photographs, in place; what matches goes on matching.

    Raises:
        ValueError: a photograph cannot be read.
    """
    for person in people:
        outfit = person.outfit
        suit = outfit.bottom is outfit.top
        for piece in ("top", "bottom", "inner"):
            if rng.random() < RATE:
                picture = pictures[rng.integers(len(pictures))]
                setattr(outfit, piece, printed(rng, picture, getattr(outfit, piece)))
        if suit:
            outfit.bottom = outfit.top


def printed(rng: np.random.Generator, picture: Path, plain: Solid) -> Solid:
    """Cloth with a patch of a photograph, mirrored from tile to tile, over a plain cloth."""
    patch = _patch(rng, picture)
    width = np.exp(rng.uniform(np.log(NARROWEST), np.log(WIDEST)))
    angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / width
    strength = rng.uniform(0.5, 1.0)

    def colour(places: np.ndarray) -> np.ndarray:
        # Front and back are the most of a body: the cloth runs along x and z.
        at = places[:, [0, 2]] @ turn.T.astype(np.float32) + shift
        columns, rows = (np.abs(at % 2 - 1) * (SIDE - 1)).astype(int).T
        return strength * patch[rows, columns] + (1 - strength) * plain(places)

    return colour


def _patch(rng: np.random.Generator, path: Path) -> np.ndarray:
    """A square patch (SIDE, SIDE, 3) of a photograph, RGB, brighter or darker than it was."""
    picture = read_photograph(path)
    side = max(int(min(picture.shape[:2]) * rng.uniform(0.2, 1)), 1)
    top, left = (rng.integers(0, length - side + 1) for length in picture.shape[:2])
    patch = picture[top : top + side, left : left + side]
    patch = cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    if rng.random() < 0.5:
        patch = patch[..., rng.permutation(3)]  # other dyes
    gain, lift = np.exp(rng.uniform(-0.7, 0.5)), rng.uniform(-20, 30)
    return np.clip(patch * gain + lift, 0, 255)
