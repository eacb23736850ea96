"""Ground truth in DensePose-COCO's format, from the buffers that the image was rendered from."""

import cv2
import numpy as np
from pycocotools import mask as rle

from ..data.rle import encode_part_masks, text_of_rle
from ..data.spread_points import spread
from ..surface.parts import (
    ANNOTATION_SIDE,
    COARSE_PART_NAMES,
    FINE_TO_COARSE,
    NUM_COARSE_PARTS,
)
from ..surface.raster import project
from ..surface.surface import BodySurface
from .backdrop import Camera
from .render import Seen
from .scene import Scene

#: A person with fewer visible pixels is not annotated at all, in images of 512 x 512.
SMALLEST_PERSON = 60
#: A person with fewer visible pixels has a box and a mask, but no dense pose.
SMALLEST_DENSEPOSE = 500
#: A part gets at most one point for this many pixels, its border not counted.
PIXELS_PER_POINT = 8
#: A keypoint is visible if the surface is at most this far in front of its joint, metres.
KEYPOINT_DEPTH = 0.13
#: The key of an annotation that lists what the person wears.
CLOTHING_KEY = "clothing"
HEAD = COARSE_PART_NAMES.index("head")


def annotate(
    rng: np.random.Generator, scene: Scene, seen: Seen, surface: BodySurface, points: int
) -> list[dict]:
    """Annotations of the people that are visible, without ids.

    Args:
        rng: chooses among the pixels of a part.
        scene: the people.
        seen: what the camera sees of them.
        points: the most points on each coarse part of a person.

    Returns:
        a dict for each person, as in COCO: bbox XYWH, area, segmentation (compressed RLE), iscrowd,
        category_id, keypoints, num_keypoints, and, for people large enough, dp_masks and dp_x,
        dp_y, dp_I, dp_U, dp_V; and CLOTHING_KEY, see ``Outfit.words``.
    """
    scale = seen.owner.size / 512**2
    result = []
    for index, person in enumerate(scene.people):
        mask = seen.owner == index
        area = int(mask.sum())
        if area < SMALLEST_PERSON * scale:
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x, y = int(columns[0]), int(rows[0])
        width, height = int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y
        keypoints, count = _keypoints(scene.camera, person.keypoints, seen, index)
        annotation = {
            "person": index,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": [x, y, width, height],
            "area": area,
            "segmentation": _encode(mask),
            "keypoints": keypoints,
            "num_keypoints": count,
            CLOTHING_KEY: person.outfit.words(),
        }
        if area >= SMALLEST_DENSEPOSE * scale:
            annotation.update(_densepose(rng, seen, surface, index, (x, y, width, height), points))
        result.append(annotation)
    return result


def part_map(seen: Seen, surface: BodySurface, index: int) -> np.ndarray:
    """Fine part (H, W) of a person's visible pixels, 0 elsewhere and where no body is beneath."""
    body = seen.bodies[index]
    shown = (seen.owner == index) & body.hit
    parts = np.zeros(shown.shape, np.uint8)
    parts[shown] = surface.charts.face_part[body.face[shown]]
    return parts


def _densepose(rng, seen: Seen, surface: BodySurface, index: int, box, points: int) -> dict:
    """The ``dp_*`` keys of one person; empty if no part is visible."""
    x, y, width, height = box
    fine = part_map(seen, surface, index)[y : y + height, x : x + width]
    coarse = FINE_TO_COARSE[fine].astype(np.uint8)
    # annotators avoid the borders of parts, and slivers
    around = np.ones((3, 3), np.uint8)
    alike = cv2.erode(coarse, around) == cv2.dilate(coarse, around)
    inner = np.flatnonzero(alike & (coarse > 0))
    inner = inner[np.argsort(coarse.ravel()[inner], kind="stable")]  # grouped by part
    ends = np.cumsum(np.bincount(coarse.ravel()[inner], minlength=NUM_COARSE_PARTS + 1))
    pixels = []
    for inside in np.split(inner, ends[:-1])[1:]:
        if len(inside):
            count = min(points, -(-len(inside) // PIXELS_PER_POINT))
            pixels.append(spread(rng, np.stack(np.divmod(inside, width), 1), count))
    if not pixels:
        return {}
    row, column = np.concatenate(pixels).T
    body = seen.bodies[index]
    face, weight = body.face[row + y, column + x], body.barycentric[row + y, column + x]
    i, u, v = surface.iuv(face, weight)
    # annotators count hair beside the head as head
    shown = seen.owner[y : y + height, x : x + width] == index
    loose = shown & (coarse == 0) & seen.extra[y : y + height, x : x + width]
    coarse[loose] = HEAD
    return {
        "dp_masks": part_masks(coarse),
        "dp_x": _rounded((column + 0.5) * (ANNOTATION_SIDE / width), 3),
        "dp_y": _rounded((row + 0.5) * (ANNOTATION_SIDE / height), 3),
        "dp_I": [int(p) for p in i],
        "dp_U": _rounded(u, 5),
        "dp_V": _rounded(v, 5),
    }


def _rounded(values: np.ndarray, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def part_masks(coarse: np.ndarray) -> list:
    """14 RLEs of coarse parts (h, w) of a box in a 256 x 256 frame; [] for a part not seen."""
    side = (np.arange(ANNOTATION_SIDE) + 0.5) / ANNOTATION_SIDE
    rows = (side * coarse.shape[0]).astype(int)
    columns = (side * coarse.shape[1]).astype(int)
    square = coarse[rows[:, None], columns]
    return encode_part_masks(square)


def _encode(mask: np.ndarray) -> dict:
    return text_of_rle(rle.encode(np.asfortranarray(mask, np.uint8)))


def _keypoints(camera: Camera, points: np.ndarray, seen: Seen, index: int) -> tuple[list, int]:
    """COCO keypoints [x, y, visibility] * 17 in whole pixels, and how many are labelled.

    2: visible; 1: in the image but hidden; 0, at (0, 0): outside the image.
    """
    view = camera.view(points)
    pixel = np.floor(project(view, camera.focal, camera.size)).astype(np.int64)
    height, width = camera.size
    inside = (pixel >= 0).all(1) & (pixel < [width, height]).all(1) & (view[:, 2] > 0)
    result, count = [], 0
    for (x, y), depth, there in zip(pixel, view[:, 2], inside):
        if not there:
            result += [0, 0, 0]
            continue
        own = seen.owner[y, x] == index
        visible = own and seen.bodies[index].depth[y, x] > depth - KEYPOINT_DEPTH
        result += [int(x), int(y), 2 if visible else 1]
        count += 1
    return result, count
