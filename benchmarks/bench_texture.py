"""Painting an atlas onto 5 people in a picture of 640 x 480, extracting one, and filling it.

    python benchmarks/bench_texture.py

"plain" loops over the parts of each person and looks up the nearest texel. Bar, on one core: 15 ms
a picture.
"""

import cv2
import numpy as np
import timing
import torch
from timing import measure, report

from densepose_ext.structures import DensePoseResult, Person
from densepose_ext.surface.raster import rasterize
from densepose_ext.surface.surface import BodySurface
from densepose_ext.texture import Atlas, TextureExtractor, apply_texture, fill_atlas

PEOPLE, HEIGHT, WIDTH = 5, 480, 640


def make_people() -> list[Person]:
    """The body in its rest pose, 440 pixels high, five times, partly overlapping."""
    surface = BodySurface.load()
    turned = surface.body.vertices @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) + [0, 0, 8]
    body = rasterize(turned, surface.body.faces, 440 * 8 / 1.75, (HEIGHT, WIDTH))
    rows, columns = np.flatnonzero(body.hit.any(1)), np.flatnonzero(body.hit.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    shown = body.hit[box]
    i, u, v = surface.iuv(body.face[box][shown], body.barycentric[box][shown])
    labels, uv = np.zeros(shown.shape, np.uint8), np.zeros((2, *shown.shape), np.float32)
    labels[shown], uv[:, shown] = i, (u, v)
    people = []
    for n in range(PEOPLE):
        x, y = (WIDTH - shown.shape[1]) * n / (PEOPLE - 1), 10.0
        result = DensePoseResult(torch.from_numpy(labels), torch.from_numpy(uv))
        corners = [x, y, x + shown.shape[1], y + shown.shape[0]]
        people.append(Person(np.array(corners, np.float32), 1 - n / 10, result))
    return people


def plain(picture: np.ndarray, people: list[Person], atlas: Atlas) -> np.ndarray:
    painted, tile = picture.copy(), atlas.tile
    for person in people[::-1]:
        x, y = person.corner
        labels, (u, v) = person.result.labels.numpy(), person.result.uv.numpy()
        target = painted[y : y + labels.shape[0], x : x + labels.shape[1]]
        for part in range(1, 25):
            top, left = (part - 1) % 6 * tile, (part - 1) // 6 * tile
            texture = atlas.picture[top : top + tile, left : left + tile]
            here = labels == part
            column = np.rint(np.clip(u[here], 0, 1) * (tile - 1)).astype(int)
            row = np.rint((1 - np.clip(v[here], 0, 1)) * (tile - 1)).astype(int)
            target[here] = texture[row, column]
    return painted


def main() -> None:
    timing.THREADS = 1
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    people = make_people()
    picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    atlas = Atlas(rng.integers(0, 256, (1200, 800, 3)).astype(np.uint8))
    transparent = Atlas(atlas.picture, np.full((1200, 800), 128, np.uint8))
    times = measure(
        {
            "plain": lambda: plain(picture, people, atlas),
            "apply_texture": lambda: apply_texture(picture, people, atlas),
            "with shading": lambda: apply_texture(picture, people, atlas, shading=1.0),
            "half transparent": lambda: apply_texture(picture, people, transparent),
        },
        repeats=15,
    )
    pixels = sum(int((p.result.labels > 0).sum()) for p in people)
    report(f"{PEOPLE} people, {WIDTH} x {HEIGHT}, {pixels} pixels of them", times, "plain")

    def extract():
        extractor = TextureExtractor()
        extractor.add(picture, people[0])
        return extractor.extract()

    extraction = extract()
    times = measure({"extract": extract, "fill": lambda: fill_atlas(extraction)}, repeats=3)
    report("an atlas of one person", times, "extract")


if __name__ == "__main__":
    main()
