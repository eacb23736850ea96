"""Dense pose that is wrong as a network's is: another way in every frame."""

from dataclasses import replace

import cv2
import numpy as np
import torch

from densepose_ext.structures import Person
from densepose_ext.surface.parts import FINE_MIRROR


def noisy(person: Person, rng, jitter=0.03, flips=0.03, blobs=10) -> Person:
    """A person with errors.

    Args:
        jitter: standard deviation of U and V: half of the variance is of single pixels, half of
            patches of 16 pixels.
        flips: share of pixels of another part, anywhere in it.
        blobs: discs of 2 to 4 pixels whose left and right are exchanged.
    """
    labels, uv = person.result.labels.numpy().copy(), person.result.uv.numpy().copy()
    height, width = labels.shape
    on = labels > 0
    for channel in uv:
        patches = rng.standard_normal((height // 16 + 2, width // 16 + 2))
        patches = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
        both = rng.standard_normal((height, width)) + patches / patches.std()
        channel[on] += jitter * np.sqrt(0.5) * both[on]
    rows, columns = np.nonzero(on)
    for k in rng.integers(0, len(rows), blobs):
        reach = rng.uniform(2, 4)
        disc = (np.arange(height)[:, None] - rows[k]) ** 2 + (np.arange(width) - columns[k]) ** 2
        disc = (disc < reach**2) & on
        labels[disc] = FINE_MIRROR[labels[disc]]
    flipped = on & (rng.random(on.shape) < flips)
    labels[flipped] = rng.integers(1, 25, flipped.sum())
    uv[:, flipped] = rng.random((2, flipped.sum()))
    uv = np.where(on, uv.clip(0, 1), 0).astype(np.float32)
    return replace(
        person,
        result=replace(person.result, labels=torch.from_numpy(labels), uv=torch.from_numpy(uv)),
    )
