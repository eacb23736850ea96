"""People for the tests of drawing."""

import numpy as np
import torch

from densepose_ext.structures import DensePoseResult, Person


def flat_person(box, part=1, u=0.0, v=0.0, score=1.0, **more):
    """One part all over a box XYXY, of constant U and V."""
    box = np.array(box, np.float32)
    width, height = (int(size) for size in np.maximum(box[2:] - box[:2], 1))
    uv = torch.empty(2, height, width)
    uv[0], uv[1] = u, v
    labels = torch.full((height, width), part, dtype=torch.uint8)
    return Person(box, score, DensePoseResult(labels, uv), **more)


def random_person(rng, box, score):
    """Random parts, about half of them background, and U, V somewhat beyond [0, 1]."""
    person = flat_person(box, score=score)
    labels = rng.integers(0, 25, person.result.labels.shape) * rng.integers(
        0, 2, person.result.labels.shape
    )
    person.result.labels = torch.from_numpy(labels.astype(np.uint8))
    uv = rng.uniform(-0.1, 1.1, (2, *labels.shape)).astype(np.float32) * (labels > 0)
    person.result.uv = torch.from_numpy(uv)
    return person


def noise(rng, height, width):
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
