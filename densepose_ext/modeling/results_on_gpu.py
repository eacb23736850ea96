"""Postprocessing on a GPU: all channels are interpolated, so nothing depends on values.

On a CPU, :mod:`postprocessing` computes only what matters. To know what matters, a program would
have to wait for the GPU several times for each person, which takes longer than computing it all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.nn import functional as F

from ..structures import DensePoseOutput, DensePoseResult

#: Limit of interpolated values in memory (400 MB): 25 channels of a box of four megapixels.
VALUES_AT_ONCE = 100 << 20


def results_of_all_channels(
    output: DensePoseOutput, sizes: list[tuple[int, int]], min_confidence: float
) -> list[DensePoseResult]:
    """Dense pose of N people, as by :func:`densepose_results`, up to rounding.

    Args:
        output: maps of N people.
        sizes: (h, w) of each person's box.
        min_confidence: as for densepose_results.
    """
    return [_result(output[n], size, min_confidence) for n, size in enumerate(sizes)]


def _result(
    person: DensePoseOutput, size: tuple[int, int], min_confidence: float
) -> DensePoseResult:
    maps = dict(person.items())
    fine = _best(maps["fine_segm"], size, bool(min_confidence))
    labels = fine.channel * (_best(maps["coarse_segm"], size).channel > 0)
    if fine.log_sum is not None:
        labels = labels * ((fine.value - fine.log_sum).exp() >= min_confidence)
    of_part = {
        name: _of_channel(maps[name], size, labels)
        for name in ("u", "v", "sigma_2", "kappa_u", "kappa_v")
        if name in maps
    }
    everywhere = {
        name: next(_enlarged(value[:, :1], size))[0]
        for name, value in maps.items()
        if name.endswith("_confidence")
    }
    uv = torch.stack([of_part.pop("u"), of_part.pop("v")])
    return DensePoseResult(labels.to(torch.uint8), uv, **of_part, **everywhere)


def _enlarged(maps: torch.Tensor, size: tuple[int, int]) -> Iterator[torch.Tensor]:
    """The channels of one person's map (1, C, S, S), resized, in groups (c, h, w)."""
    for group in maps.split(max(VALUES_AT_ONCE // (size[0] * size[1]), 1), dim=1):
        yield F.interpolate(group.float(), size, mode="bilinear", align_corners=False)[0]


class _Best(NamedTuple):
    """The best channel of each pixel, its value, and the log-sum-exp of all; (h, w) each."""

    channel: torch.Tensor
    value: torch.Tensor
    log_sum: torch.Tensor | None


def _best(maps: torch.Tensor, size: tuple[int, int], with_log_sum: bool = False) -> _Best:
    best, first = None, 0
    for group in _enlarged(maps, size):
        value, channel = group.max(dim=0)
        channel += first
        log_sum = group.logsumexp(dim=0) if with_log_sum else None
        if best is not None:
            is_better = value > best.value
            channel = torch.where(is_better, channel, best.channel)
            value = torch.where(is_better, value, best.value)
            log_sum = None if log_sum is None else torch.logaddexp(log_sum, best.log_sum)
        best, first = _Best(channel, value, log_sum), first + len(group)
    assert best is not None  # maps have channels
    return best


def _of_channel(maps: torch.Tensor, size: tuple[int, int], channels: torch.Tensor) -> torch.Tensor:
    """The value of one channel at each pixel, (h, w), 0 where it is channel 0."""
    values, first = torch.zeros(size, device=maps.device), 0
    for group in _enlarged(maps, size):
        here = (channels - first).clamp(0, len(group) - 1)
        is_here = (channels == first + here) & (channels > 0)
        values = torch.where(is_here, group.gather(0, here[None])[0], values)
        first += len(group)
    return values
