"""Postprocessing: from the network's maps to part, U and V at every pixel of a person's box."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch

from ..structures import (
    DensePoseEmbeddingOutput,
    DensePoseOutput,
    DensePoseResult,
    VertexResult,
    owned,
)
from .embeddings.vertex_results import vertex_results
from .results_on_gpu import results_of_all_channels

#: People are processed in groups of about this many pixels, so that arrays stay in the cache of a
#: CPU, and memory is bounded for boxes of any size.
PIXELS_AT_ONCE = 400_000

_MIXED = 255


def box_sizes(boxes: torch.Tensor) -> list[tuple[int, int]]:
    """(h, w) in whole pixels of boxes (N, 4) XYXY: truncated, at least 1."""
    sizes = (boxes[:, 2:] - boxes[:, :2]).long().clamp(min=1)
    return [(h, w) for w, h in sizes.tolist()]


def check_min_confidence(min_confidence: float, has_parts: bool) -> None:
    """Checks an argument of :func:`densepose_results`; call it before long work.

    Args:
        has_parts: whether the model has charts. A CSE model has no parts to be confident about.

    Raises:
        ValueError: it is outside of 0 to 1, or above 0 without parts.
    """
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence = {min_confidence}, expected 0 to 1")
    if min_confidence and not has_parts:
        raise ValueError(f"min_confidence = {min_confidence}, but this model has no parts")


@torch.no_grad()
def densepose_results(
    output: DensePoseOutput | DensePoseEmbeddingOutput,
    boxes: torch.Tensor,
    min_confidence: float = 0.0,
    with_embeddings: bool = False,
) -> list[DensePoseResult | VertexResult]:
    """Dense pose of N people at the resolution of the picture.

    For CSE models these are vertices: see :func:`vertex_results`. For chart models:

    Coarse and fine logits are interpolated bilinearly (pixel centres at +0.5) to the box. A pixel
    gets the best fine part if the best coarse channel is not background, else 0. U and V are
    interpolated in the channel of that part, and are 0 on background.

    The result equals that of interpolating all channels, but only values that matter are computed:
    if the four cells around a pixel agree on the best channel, so does any weighted mean of them,
    so logits are interpolated only near borders between parts, and U and V only in one channel.

    Args:
        output: maps of N people.
        boxes: (N, 4) XYXY, in the picture's pixels.
        min_confidence: pixels become background where the probability of their part, the softmax
            of the fine logits, is lower. Only for chart models.
        with_embeddings: keep the embedding of each pixel. Only for CSE models.

    Returns:
        a result per person, of (h, w) = box_sizes(boxes).

    Raises:
        ValueError: ``min_confidence`` cannot be used, or ``with_embeddings`` for a chart model.
    """
    sizes = box_sizes(boxes)
    check_min_confidence(min_confidence, has_parts=isinstance(output, DensePoseOutput))
    if isinstance(output, DensePoseEmbeddingOutput):
        return [*vertex_results(output, sizes, with_embeddings)]
    if with_embeddings:
        raise ValueError("with_embeddings, but this model has charts")
    if output.fine_segm.device.type != "cpu":
        return [*results_of_all_channels(output, sizes, min_confidence)]
    results: list[DensePoseResult | VertexResult] = []
    for first, last in _groups([h * w for h, w in sizes]):
        height, width = sizes[first]
        if height * width <= PIXELS_AT_ONCE:
            results += _Group(output[first:last], sizes[first:last]).results(min_confidence)
            continue
        step = max(PIXELS_AT_ONCE // width, 1)
        bands = [range(y, min(y + step, height)) for y in range(0, height, step)]
        groups = [_Group(output[first:last], [sizes[first]], band) for band in bands]
        results.append(_stacked([group.results(min_confidence)[0] for group in groups]))
    return results


def _stacked(bands: list[DensePoseResult]) -> DensePoseResult:
    """One result from bands of its rows."""
    names = [f.name for f in fields(DensePoseResult) if getattr(bands[0], f.name) is not None]
    return DensePoseResult(
        **{name: torch.cat([getattr(band, name) for band in bands], dim=-2) for name in names}
    )


def _groups(pixels: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of people with at most PIXELS_AT_ONCE pixels in all, or of one person with more."""
    first = total = 0
    for n, count in enumerate(pixels):
        if n > first and total + count > PIXELS_AT_ONCE:
            yield first, n
            first, total = n, 0
        total += count
    if pixels:
        yield first, len(pixels)


def _best(logits: torch.Tensor) -> torch.Tensor:
    """The best channel, uint8, of logits (N, C, ...); of equal ones the first."""
    # On a CPU, max takes half the time of argmax.
    return logits.max(dim=1).indices.to(torch.uint8)


def _common_winner(logits: torch.Tensor) -> torch.Tensor:
    """The best channel of each cell, if it is that of its right and lower neighbours too.

    Args:
        logits: (N, C, S, S).

    Returns:
        (N * S * S,) uint8: the channel that is the best one in all four cells (y, x), (y, x + 1),
        (y + 1, x), (y + 1, x + 1), or _MIXED. The last row and column are repeated.
    """
    if logits.shape[1] == 2:
        best = (logits[:, 1] > logits[:, 0]).to(torch.uint8)
    else:
        best = _best(logits)
    mixed = torch.zeros_like(best, dtype=torch.bool)
    across = best[:, :, 1:] != best[:, :, :-1]
    mixed[:, :, :-1] |= across
    mixed[:, :-1, :-1] |= across[:, 1:]
    mixed[:, :-1] |= best[:, 1:] != best[:, :-1]
    return best.masked_fill(mixed, _MIXED).flatten()


@dataclass
class _Places:
    """The positions of P pixels in the maps: the four cells around each, and their weights.

    Attributes:
        person, y, x: (P,) int32, the person and the first of the four cells.
        down, right: (P,) int32, 1 if there is a next row or column, else 0.
        fy, fx: (P,) float32, weight of the next row and column.
    """

    person: torch.Tensor
    y: torch.Tensor
    x: torch.Tensor
    down: torch.Tensor
    right: torch.Tensor
    fy: torch.Tensor
    fx: torch.Tensor

    def select(self, index: torch.Tensor) -> _Places:
        return _Places(*(getattr(self, f.name).index_select(0, index) for f in fields(self)))

    def _blend(self, corners: list[torch.Tensor]) -> torch.Tensor:
        """Bilinear value from those at (y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)."""
        shape = (-1,) + (1,) * (corners[0].dim() - 1)
        fx, fy = self.fx.view(shape), self.fy.view(shape)
        return torch.lerp(
            torch.lerp(corners[0], corners[1], fx), torch.lerp(corners[2], corners[3], fx), fy
        )

    def channels(self, maps: torch.Tensor) -> torch.Tensor:
        """Values of all channels: (N, C, S, S) -> (P, C)."""
        count, channels, height, width = maps.shape
        # A view, if channels are last.
        cells = maps.permute(0, 2, 3, 1).reshape(count * height * width, channels)
        here = (self.person * height + self.y) * width + self.x
        below = here + self.down * width
        corners = [here, here + self.right, below, below + self.right]
        return self._blend([cells.index_select(0, corner) for corner in corners])

    def channel(self, maps: list[torch.Tensor], channel: torch.Tensor) -> list[torch.Tensor]:
        """Values of one channel per pixel.

        Args:
            maps: several (N, C, S, S).
            channel: (P,).

        Returns:
            (P,) for each of the maps.
        """
        values, indices, strides = [], [], None
        for value in maps:
            if value.stride() != strides:  # usually, all maps are views of one tensor
                strides = of_person, of_channel, of_row, of_column = value.stride()
                extent = sum((n - 1) * stride for n, stride in zip(value.shape, strides)) + 1
                dtype = torch.int32 if extent < 2**31 else torch.int64
                here = self.person.to(dtype) * of_person + channel.to(dtype) * of_channel
                here += self.y * of_row
                here += self.x * of_column
                right, below = here + self.right * of_column, self.down * of_row
                indices = [here, right, here + below, right + below]
            # The map's memory as one row, to be indexed by the computed offsets.
            line = value.as_strided((extent,), (1,))
            values.append(self._blend([line.index_select(0, index) for index in indices]))
        return values


class _Group:
    """The pixels of several people, or of a band of rows of one person, end to end.

    Rows, columns and pixels are each numbered consecutively over all people.
    """

    def __init__(
        self, output: DensePoseOutput, sizes: list[tuple[int, int]], band: range | None = None
    ):
        """
        Args:
            sizes: (h, w) of each person.
            band: rows of the only person; None: all rows of all people.
        """
        self.output = output
        self.sizes = sizes if band is None else [(len(band), sizes[0][1])]
        self.side = output.fine_segm.shape[-1]
        self.device = output.fine_segm.device
        heights, widths = torch.tensor(self.sizes, device=self.device, dtype=torch.int32).T
        people = torch.arange(len(sizes), device=self.device, dtype=torch.int32)
        self.person_of_row = people.repeat_interleave(heights)
        if band is None:
            self.y, self.down, self.fy = self._axis(heights)
        else:
            whole = torch.full_like(heights, sizes[0][0])
            self.y, self.down, self.fy = (v[band.start : band.stop] for v in self._axis(whole))
        self.x, self.right, self.fx = self._axis(widths)
        width_of_row = widths.index_select(0, self.person_of_row)
        rows = torch.arange(len(width_of_row), device=self.device, dtype=torch.int32)
        self.row_of_pixel = rows.repeat_interleave(width_of_row)
        # The index of a pixel plus this value, of its row, is the index of its column.
        first_column = (_starts(widths)).index_select(0, self.person_of_row)
        self.to_column = first_column - _starts(width_of_row)

    def _axis(self, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """First cell, 1 if there is a next one, and its weight, along all rows or columns."""
        position = torch.arange(int(lengths.sum()), device=self.device)
        position = position - _starts(lengths).repeat_interleave(lengths)
        scale = (self.side / lengths.float()).repeat_interleave(lengths)
        source = ((position + 0.5) * scale - 0.5).clamp(min=0)
        first = source.to(torch.int32).clamp(max=self.side - 1)
        return first, (first < self.side - 1).to(torch.int32), source - first

    def _columns(self, pixels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return pixels + self.to_column.index_select(0, rows)

    def _places(self, pixels: torch.Tensor) -> _Places:
        rows = self.row_of_pixel.index_select(0, pixels)
        columns = self._columns(pixels, rows)
        return _Places(
            self.person_of_row.index_select(0, rows),
            self.y.index_select(0, rows),
            self.x.index_select(0, columns),
            self.down.index_select(0, rows),
            self.right.index_select(0, columns),
            self.fy.index_select(0, rows),
            self.fx.index_select(0, columns),
        )

    def _labels(self, min_confidence: float) -> tuple[torch.Tensor, torch.Tensor, _Places]:
        """Part of every pixel (uint8); indices and places of those on the body."""
        every = torch.arange(len(self.row_of_pixel), device=self.device, dtype=torch.int32)
        line = (self.person_of_row * self.side + self.y) * self.side
        cell = line.index_select(0, self.row_of_pixel)
        cell += self.x.index_select(0, self._columns(every, self.row_of_pixel))

        on_body = _common_winner(self.output.coarse_segm).index_select(0, cell)
        undecided = (on_body == _MIXED).nonzero()[:, 0]
        logits = self._places(undecided).channels(self.output.coarse_segm)
        on_body.index_copy_(0, undecided, _best(logits))

        pixels = on_body.nonzero()[:, 0]
        places = self._places(pixels)
        parts = _common_winner(self.output.fine_segm).index_select(0, cell.index_select(0, pixels))
        undecided = (parts == _MIXED).nonzero()[:, 0]
        logits = places.select(undecided).channels(self.output.fine_segm)
        parts.index_copy_(0, undecided, _best(logits))

        if min_confidence:
            parts *= self._probability(places, parts) >= min_confidence
        labels = torch.zeros_like(on_body)
        labels.index_copy_(0, pixels, parts)
        return labels, pixels, places

    def _probability(self, places: _Places, parts: torch.Tensor) -> torch.Tensor:
        """Probability of the part of each of P pixels, (P,) float32."""
        found = torch.empty(len(parts), device=self.device)
        for some in torch.arange(len(parts), device=self.device).split(PIXELS_AT_ONCE // 8):
            logits = places.select(some).channels(self.output.fine_segm).float()
            own = logits.gather(1, parts[some, None].long())[:, 0]
            found[some] = (own - logits.logsumexp(dim=1)).exp()
        return found

    def results(self, min_confidence: float) -> list[DensePoseResult]:
        labels, pixels, places = self._labels(min_confidence)
        output = dict(self.output.items())
        of_part = [n for n in ("u", "v", "sigma_2", "kappa_u", "kappa_v") if n in output]
        everywhere = [n for n in output if n.endswith("_confidence")]
        # One row per value, so that U and V of a person are two rows of one tensor.
        values = torch.zeros((len(of_part), len(labels)), device=self.device)
        parts = labels.index_select(0, pixels)
        # The best fine part of a pixel on the body may still be background.
        is_part = (parts > 0).float()
        for row, value in zip(values, places.channel([output[n] for n in of_part], parts)):
            row.index_copy_(0, pixels, value * is_part)
        if everywhere:
            every = torch.arange(len(labels), device=self.device)
            sampled = self._places(every).channel(
                [output[n] for n in everywhere], torch.zeros_like(labels)
            )
            values = torch.cat([values, torch.stack(sampled)])

        counts = [h * w for h, w in self.sizes]
        results = []
        for size, own_labels, own in zip(
            self.sizes, labels.split(counts), values.split(counts, dim=1)
        ):
            own = own.reshape(-1, *size)
            rest = dict(zip(of_part[2:] + everywhere, own[2:]))
            result = DensePoseResult(own_labels.reshape(size), own[:2], **rest)
            results.append(result.map(owned))  # views would keep the whole group alive
        return results


def _starts(counts: torch.Tensor) -> torch.Tensor:
    """The start of each piece, of pieces that lie end to end."""
    return counts.cumsum(0, dtype=torch.int32) - counts
