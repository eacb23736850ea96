"""Selects RoIs of all images of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from detectron2.structures import Boxes, Instances

from ...structures import DensePoseAnnotationList
from .matching import uploaded


def select(images: list[Instances], mask: torch.Tensor) -> list[Instances]:
    """The instances of each image for which ``mask``, (of all images,) bool, is True."""
    chosen = mask.cpu()  # the only wait for a GPU
    counts = [int(part.sum()) for part in chosen.split([len(image) for image in images])]
    return take(images, uploaded(chosen.nonzero()[:, 0], mask.device), counts)


def take(images: list[Instances], rows: torch.Tensor, counts: Sequence[int]) -> list[Instances]:
    """The given instances of each image.

    Args:
        rows: (sum of counts,) int64 indices among the instances of all images, image by image.
        counts: how many of them are for each image.
    """
    firsts = [0, *accumulate(len(image) for image in images)]
    ends = [0, *accumulate(counts)]
    taken = [Instances(image.image_size) for image in images]
    for name in dict.fromkeys(name for image in images for name in image.get_fields()):
        values = [image.get_fields().get(name) for image in images]
        joined = _joined(values)
        of_all = None if joined is None else joined[rows]
        for first, start, end, value, of_image in zip(firsts, ends, ends[1:], values, taken):
            if of_all is not None:
                of_image.set(name, of_all[start:end])
            elif value is not None:
                of_image.set(name, value[rows[start:end] - first])
    return taken


def _joined(values: list):
    """A field of all images, end to end; None if it is of a kind that cannot be joined."""
    kind = type(values[0])
    if any(type(value) is not kind for value in values):
        return None
    if kind is Boxes:
        return Boxes.cat(values)
    if kind is DensePoseAnnotationList:
        return DensePoseAnnotationList.cat(values)
    return torch.cat(values) if kind is torch.Tensor else None


def foreground(proposals: list[Instances], classes: int) -> list[Instances]:
    """The RoIs of people: those whose class is neither the last, the background, nor -1."""
    of_all = torch.cat([image.gt_classes for image in proposals])
    return select(proposals, (of_all >= 0) & (of_all != classes))
