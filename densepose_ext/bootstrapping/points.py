"""Samples pixels of a result as annotated points."""

from __future__ import annotations

import numpy as np
import torch

#: With a confidence, points are sampled from this share of the pixels of each class.
BEST_SHARE = 0.5


def sampled_pixels(
    labels: torch.Tensor,
    count_per_class: int,
    draws: np.random.Generator,
    order: torch.Tensor | None = None,
) -> torch.Tensor:
    """Samples pixels of each class, without replacement.

    Args:
        labels: (h, w) class of each pixel; 0: none.
        count_per_class: pixels per class; all pixels of a class that has fewer.
        draws: random generator.
        order: (h, w): sample from the half of each class with the lowest values, but from at least
            ``count_per_class`` pixels; None: from all pixels.

    Returns:
        (P,) int64 indices into ``labels.flatten()``, by class.
    """
    labels = labels.flatten()
    chosen = []
    for label in labels.unique().tolist():
        if label == 0:
            continue
        pixels = (labels == label).nonzero()[:, 0]
        if len(pixels) > count_per_class:
            if order is not None:
                best = order.flatten()[pixels].sort(stable=True).indices
                pixels = pixels[best[: max(int(len(pixels) * BEST_SHARE), count_per_class)]]
            picked = draws.choice(len(pixels), count_per_class, replace=False)
            pixels = pixels[torch.from_numpy(picked)]
        chosen.append(pixels)
    return torch.cat(chosen) if chosen else torch.zeros(0, dtype=torch.int64)


def box_coordinates(
    pixels: torch.Tensor, size: tuple[int, int], side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of pixel centres in a box that is resized to a square.

    Args:
        pixels: (P,) indices into a flattened (h, w).
        size: (h, w).
        side: of the square.

    Returns:
        x, y: (P,) float32, between 0 and ``side``.
    """
    height, width = size
    x, y = pixels % width, pixels // width
    return (x + 0.5) / width * side, (y + 0.5) / height * side
