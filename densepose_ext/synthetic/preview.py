"""A contact sheet: synthetic images, and the same images with parts in colour."""

import cv2
import numpy as np

from ..surface.parts import ANNOTATION_SIDE
from ..surface.surface import BodySurface
from ..visualization.palette import PART_COLOURS
from .annotations import part_map
from .example import Example, make_example
from .settings import Settings


def overlay(example: Example) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB, with parts in colour and annotated points."""
    surface = BodySurface.load()
    picture = example.image.astype(np.float32)
    for annotation in example.annotations:
        parts = part_map(example.seen, surface, annotation["person"])
        shown = parts > 0
        picture[shown] = 0.35 * picture[shown] + 0.65 * PART_COLOURS[parts[shown]]
    picture = np.ascontiguousarray(picture.astype(np.uint8))
    for annotation in example.annotations:
        x, y, width, height = annotation["bbox"]
        points = zip(annotation.get("dp_x", ()), annotation.get("dp_y", ()))
        for px, py in points:
            place = int(x + px * width / ANNOTATION_SIDE), int(y + py * height / ANNOTATION_SIDE)
            cv2.circle(picture, place, max(1, len(picture) // 256), (255, 255, 255), -1)
    return picture


def contact_sheet(
    settings: Settings, columns: int = 6, rows: int = 2, tile: int = 256
) -> np.ndarray:
    """A sheet (H, W, 3) uint8 RGB of ``rows`` pairs of rows: images, and their overlays below."""
    sheet = []
    for row in range(rows):
        examples = [make_example(settings, "val", row * columns + k) for k in range(columns)]
        for pictures in ([e.image for e in examples], [overlay(e) for e in examples]):
            small = [cv2.resize(p, (tile, tile), interpolation=cv2.INTER_AREA) for p in pictures]
            sheet.append(np.concatenate(small, 1))
    return np.concatenate(sheet)
