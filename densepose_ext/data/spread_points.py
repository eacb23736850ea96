"""Points to be annotated: pixels of a region, spread over it by k-means (the paper, section 2)."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist


def spread(rng: np.random.Generator, pixels: np.ndarray, count: int) -> np.ndarray:
    """``count`` of the pixels (n, 2), spread by k-means: those nearest to the cluster centres.

    Two centres may share their nearest pixel, so that there are fewer now and then.
    """
    if count >= len(pixels):
        return pixels
    sample = pixels
    if len(pixels) > 700:
        sample = pixels[rng.choice(len(pixels), 700, replace=False)]
    sample = sample.astype(np.float64)
    centres = sample[_far_apart(sample, rng.integers(len(sample)), count)]
    for _ in range(4):
        nearest = cdist(sample, centres, "sqeuclidean").argmin(1)
        total = np.bincount(nearest, minlength=count)
        moved = np.stack([np.bincount(nearest, sample[:, k], count) for k in range(2)], 1)
        centres = np.where(total[:, None] > 0, moved / np.maximum(total, 1)[:, None], centres)
    chosen = cdist(sample, centres, "sqeuclidean").argmin(0)
    return sample[np.unique(chosen)].astype(np.int64)


def _far_apart(points: np.ndarray, first: int, count: int) -> list[int]:
    """Farthest-point sampling: indices of `count` of the points (n, 2), starting at `first`."""
    down, across = np.ascontiguousarray(points.T)
    chosen = [first]
    distance = np.full(len(points), np.inf)
    # thousands of rounds an image, so the arrays are reused
    square, other = np.empty_like(distance), np.empty_like(distance)
    while len(chosen) < count:
        np.subtract(down, down[chosen[-1]], out=square)
        np.multiply(square, square, out=square)
        np.subtract(across, across[chosen[-1]], out=other)
        np.multiply(other, other, out=other)
        np.add(square, other, out=square)
        np.minimum(distance, square, out=distance)
        chosen.append(distance.argmax())
    return chosen
