"""From maps and boxes to labels, U and V at every pixel, in a form that can be traced."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from ..structures import DensePoseOutput
from .network import Network


class PixelDecoder(nn.Module):
    """What :func:`densepose_ext.densepose_results` computes, for any number of people.

    That function skips channels that cannot win, which depends on the values and cannot be traced.
    This one interpolates all channels, with the same result, and takes about 1 kB per pixel.
    """

    def forward(
        self,
        coarse_segm: torch.Tensor,
        fine_segm: torch.Tensor,
        u: torch.Tensor,
        v: torch.Tensor,
        boxes: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Args:
            coarse_segm: (N, K, S, S).
            fine_segm, u, v: (N, 25, S, S).
            boxes: (N, 4) XYXY, in pixels.

        Returns:
            labels: (P,) uint8, the fine part of each pixel, person after person and row after row;
                0 is background.
            uv: (2, P) float32, 0 on background.
            sizes: (N, 2) int64, rows and columns of each person; P is the sum of their products.
        """
        pixels = pixels_of(boxes, fine_segm.shape[-1])
        on_body = pixels.blend(channels_of(coarse_segm)).argmax(1) > 0
        parts = pixels.blend(channels_of(fine_segm)).argmax(1)
        labels = torch.where(on_body, parts, torch.zeros_like(parts))
        # index of a part's cell in flattened maps (N, 25, S, S)
        area = fine_segm.shape[-1] * fine_segm.shape[-1]
        to_part = (pixels.person * (fine_segm.shape[1] - 1) + labels) * area
        of_part = replace(pixels, cells=[cell + to_part for cell in pixels.cells])
        is_part = (labels > 0).float()
        uv = [of_part.blend(m.reshape(-1, 1))[:, 0] * is_part for m in (u, v)]
        return labels.to(torch.uint8), torch.stack(uv), pixels.sizes


@dataclass
class Pixels:
    """All P pixels of the boxes of N people, person after person and row after row.

    Attributes:
        sizes: (N, 2) int64, rows and columns of each person.
        person: (P,) int64.
        cells: four of (P,) int64, the cells around a pixel, counted through maps (N * S * S, C).
        right, down: (P, 1) weights of the next column and row.
    """

    sizes: torch.Tensor
    person: torch.Tensor
    cells: list[torch.Tensor]
    right: torch.Tensor
    down: torch.Tensor

    def blend(self, values: torch.Tensor) -> torch.Tensor:
        """Bilinear interpolation (P, C) of values (cells, C)."""
        corners = [values.index_select(0, cell) for cell in self.cells]
        above = torch.lerp(corners[0], corners[1], self.right)
        return torch.lerp(above, torch.lerp(corners[2], corners[3], self.right), self.down)


def pixels_of(boxes: torch.Tensor, side: int) -> Pixels:
    """The pixels of boxes (N, 4) in maps of ``side`` x ``side``."""
    lengths = (boxes[:, 2:] - boxes[:, :2]).long().clamp(min=1)
    sizes = lengths.flip(1)
    counts = sizes[:, 0] * sizes[:, 1]
    starts = counts.cumsum(0) - counts
    pixel = torch.arange(counts.sum(), device=boxes.device)
    # repeat_interleave, in operators that every exporter has: a step where each person starts
    person = torch.zeros_like(pixel)
    person = person.scatter(0, starts[1:], torch.ones_like(starts[1:])).cumsum(0)
    pixel = pixel - starts.index_select(0, person)
    columns = sizes[:, 1].index_select(0, person)
    row = torch.div(pixel, columns, rounding_mode="floor")
    column = pixel - row * columns

    scale = (side / sizes.float()).index_select(0, person)
    first_row, next_row, down = _between(row, scale[:, 0], side)
    first_column, next_column, right = _between(column, scale[:, 1], side)
    cells = [
        (person * side + y) * side + x
        for y in (first_row, next_row)
        for x in (first_column, next_column)
    ]
    return Pixels(sizes, person, cells, right, down)


def _between(
    position: torch.Tensor, scale: torch.Tensor, side: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The cells before and after pixels (P,), and the weight (P, 1) of the latter."""
    source = ((position + 0.5) * scale - 0.5).clamp(min=0)
    first = source.long().clamp(max=side - 1)
    return first, (first + 1).clamp(max=side - 1), (source - first)[:, None]


def channels_of(maps: torch.Tensor) -> torch.Tensor:
    """(N, C, S, S) -> (N * S * S, C)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def decoder_network(output: DensePoseOutput) -> Network:
    """The decoder, with maps like these as example."""
    traced, others = _example(output, 2), _example(output, 3)
    varying = {
        **{name: {0: "people"} for name in (*traced, "sizes")},
        "labels": {0: "pixels"},
        "uv": {1: "pixels"},
    }
    return Network(PixelDecoder().eval(), traced, others, ["labels", "uv", "sizes"], varying)


def _example(output: DensePoseOutput, people: int) -> dict[str, torch.Tensor]:
    maps = {name: getattr(output, name) for name in ("coarse_segm", "fine_segm", "u", "v")}
    return random_maps(maps, people)


def random_maps(maps: dict[str, torch.Tensor], people: int) -> dict[str, torch.Tensor]:
    """Random ones of the shapes of these, of so many people, and their boxes."""
    generator = torch.Generator().manual_seed(people)
    device = next(iter(maps.values())).device

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator).to(device)

    example = {name: random(people, *value.shape[1:]) for name, value in maps.items()}
    corners = random(people, 2) * 50
    # small boxes: among many pixels of noise, two parts would tie but for rounding
    return {**example, "boxes": torch.cat([corners, corners + 1 + random(people, 2) * 10], 1)}
