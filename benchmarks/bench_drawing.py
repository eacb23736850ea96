"""Overlays of 5 people on a picture of 640 x 480, on one core.

    python benchmarks/bench_drawing.py

"plain" paints each part of each person through a mask of the whole picture.
"""

import cv2
import numpy as np
import timing

from densepose_ext.structures import DensePoseResult, Person
from densepose_ext.visualization import (
    PART_COLOURS,
    compose_iuv,
    draw_boxes,
    draw_contours,
    draw_masks,
    draw_parts,
    draw_u,
)
from densepose_ext.visualization.legend import template_people

HEIGHT, WIDTH = 480, 640
ALPHA = 0.7


def make_people() -> list[Person]:
    """The open body from both sides, five times, partly overlapping."""
    templates, _, _ = template_people(420)
    people = []
    for n in range(5):
        labels, uv = templates[n % 2].result.labels, templates[n % 2].result.uv
        x, y, width, height = cv2.boundingRect(labels.numpy())
        labels, uv = (t[..., y : y + height, x : x + width].contiguous() for t in (labels, uv))
        corner = np.float32([n * (WIDTH - width) / 4, 10 + 15 * n])
        box = np.concatenate([corner, corner + np.float32([width, height])])
        people.append(Person(box, 0.9 - 0.1 * n, DensePoseResult(labels, uv)))
    return people


def plain(picture: np.ndarray, people: list[Person]) -> np.ndarray:
    drawn, free = picture.astype(np.float32), np.ones((HEIGHT, WIDTH), bool)
    for person in people:
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        own, (x, y) = person.result.labels.numpy(), person.corner
        height, width = min(own.shape[0], HEIGHT - y), min(own.shape[1], WIDTH - x)
        labels[y : y + height, x : x + width] = own[:height, :width]
        for part in range(1, 25):
            mask = free & (labels == part)
            drawn[mask] = (1 - ALPHA) * drawn[mask] + ALPHA * PART_COLOURS[part, ::-1]
        free &= labels == 0
    return np.rint(drawn).astype(np.uint8)


def main() -> None:
    timing.THREADS = 1
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    people = make_people()
    difference = np.abs(plain(picture, people).astype(int) - draw_parts(picture, people, ALPHA))
    body = (compose_iuv(people, (HEIGHT, WIDTH))[1] > 0).mean()
    times = timing.measure(
        {
            "plain parts": lambda: plain(picture, people),
            "draw_parts": lambda: draw_parts(picture, people),
            "draw_u": lambda: draw_u(picture, people),
            "draw_contours": lambda: draw_contours(picture, people),
            "draw_masks": lambda: draw_masks(picture, people),
            "draw_boxes": lambda: draw_boxes(picture, people),
            "compose_iuv": lambda: compose_iuv(people, (HEIGHT, WIDTH)),
            "parts, contours and boxes": lambda: draw_boxes(
                draw_contours(draw_parts(picture, people), people), people
            ),
        },
        repeats=15,
    )
    title = f"5 people on {WIDTH} x {HEIGHT}, {body:.0%} body, greatest difference"
    timing.report(f"{title} {difference.max()} of 255", times, "plain parts")


if __name__ == "__main__":
    main()
