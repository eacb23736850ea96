"""Detections of an image, decoded lazily.

Evaluation needs a detection's parts and chart coordinates only at annotated points, and its mask
only if a person is near, so nothing is computed or decoded before it is needed.
D detections, C = 25 fine channels, S side of the network's maps, (h, w) a box.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from ..modeling.postprocessing import densepose_results
from ..structures import DensePoseOutput, VertexResult

#: Only the highest-scoring detections of an image are evaluated.
MAX_DETECTIONS = 20

#: Limit of resized values in memory (100 MB): all 25 channels of a box of up to a megapixel.
VALUES_AT_ONCE = 25 << 20


class PersonMaps(Protocol):
    """The maps of the detections of an image, in charts or as vertices."""

    def mask(self, n: int) -> np.ndarray:
        """Where detection ``n`` has a person. bool, shape (h, w)."""

    def whole(self, n: int) -> np.ndarray | VertexResult:
        """The whole of detection ``n``: I, U * 255, V * 255, uint8 (3, h, w), or vertices."""


class DensePoseMaps(PersonMaps, Protocol):
    """The dense pose of the detections of an image, in charts."""

    def at(self, n: int, px: np.ndarray, py: np.ndarray) -> np.ndarray:
        """I, U * 255, V * 255 of detection ``n`` at pixels of its box. uint8, shape (3, P)."""


@dataclass
class Detections:
    """Detections of an image, best first, the order of equal ones kept.

    Attributes:
        boxes: (D, 4) float64, xywh. scores: (D,) float64.
        categories: (D,) ids of the dataset; -1 for classes that it lacks.
        maps: their dense pose: :class:`DensePoseMaps`, or a class of ``vertex_maps``.
        order: (D,) index of each detection in ``maps``.
    """

    boxes: np.ndarray
    scores: np.ndarray
    categories: np.ndarray
    maps: Any
    order: np.ndarray

    @classmethod
    def best_first(
        cls, boxes: np.ndarray, scores: np.ndarray, categories: np.ndarray, maps: PersonMaps
    ) -> Detections:
        """Sorts detections.

        Raises:
            ValueError: boxes or scores are not finite, or a size is negative.
        """
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        scores = np.asarray(scores, float)
        if not np.isfinite(scores).all():
            raise ValueError(f"a detection has the score {scores[~np.isfinite(scores)][0]}")
        if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
            raise ValueError("a detection has a box that is not finite or has a negative size")
        order = np.argsort(-scores, kind="stable")
        return cls(boxes[order], scores[order], np.asarray(categories)[order], maps, order)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, item: np.ndarray | slice) -> Detections:
        return Detections(
            self.boxes[item],
            self.scores[item],
            self.categories[item],
            self.maps,
            self.order[item],
        )

    def at(self, n: int, px: np.ndarray, py: np.ndarray) -> np.ndarray:
        return self.maps.at(self.order[n], px, py)

    def mask(self, n: int) -> np.ndarray:
        return self.maps.mask(self.order[n])

    def whole(self, n: int) -> np.ndarray | VertexResult:
        return self.maps.whole(int(self.order[n]))


class ArrayMaps:
    """Dense pose given as one array per detection, loaded on first use."""

    def __init__(self, load: Sequence[Callable[[], np.ndarray]]):
        """
        Args:
            load: a function per detection that returns I, U * 255, V * 255. uint8, (3, h, w).
        """
        self._load = load
        self._arrays: dict[int, np.ndarray] = {}

    def whole(self, n: int) -> np.ndarray:
        if n not in self._arrays:
            self._arrays[n] = self._load[n]()
        return self._arrays[n]

    def at(self, n: int, px: np.ndarray, py: np.ndarray) -> np.ndarray:
        iuv = self.whole(n)
        values = np.zeros((3, len(px)), np.uint8)
        # The map may be a pixel smaller than the box, which is rounded in the file.
        inside = (px < iuv.shape[2]) & (py < iuv.shape[1])
        values[:, inside] = iuv[:, py[inside], px[inside]]
        return values

    def mask(self, n: int) -> np.ndarray:
        return self.whole(n)[0] > 0


class OutputMaps:
    """Raw output of the network, resized to boxes as needed.

    Logits are resized to a box to label all its pixels, for points and mask alike; U and V are
    interpolated only at the points. The rules are those of ``modeling.postprocessing``.
    """

    def __init__(self, output: DensePoseOutput, sizes: np.ndarray):
        """
        Args:
            output: of D detections, on any device.
            sizes: (D, 2) width and height of the boxes in pixels.
        """
        self._output = output
        self._sizes = np.maximum(np.asarray(sizes).astype(np.int64), 1)
        self._last: tuple[int, torch.Tensor, list[torch.Tensor]] | None = None

    def _enlarge(self, maps: torch.Tensor, n: int) -> Iterator[torch.Tensor]:
        """The channels of a map (D, C, S, S), resized to a box, in small groups (c, h, w)."""
        width, height = (int(length) for length in self._sizes[n])
        size = max(VALUES_AT_ONCE // (width * height), 1)
        for group in maps[n].float().split(size):
            yield F.interpolate(group[None], (height, width), mode="bilinear", align_corners=False)[
                0
            ]

    def _logits(self, n: int) -> tuple[torch.Tensor, Iterable[torch.Tensor]]:
        """The person's mask (h, w) by the coarse logits, and the fine logits in groups of channels.

        The last detection is cached if its fine logits are one group, since its points and mask
        are read one after the other.
        """
        if self._last is None or self._last[0] != n:
            person = _beyond_background(self._enlarge(self._output.coarse_segm, n))
            fine = self._enlarge(self._output.fine_segm, n)
            if self._sizes[n].prod() * self._output.fine_segm.shape[1] > VALUES_AT_ONCE:
                return person, fine
            self._last = int(n), person, list(fine)
        return self._last[1:]

    @torch.no_grad()
    def mask(self, n: int) -> np.ndarray:
        person, fine = self._logits(n)
        return (_beyond_background(fine) & person).cpu().numpy()

    @torch.no_grad()
    def at(self, n: int, px: np.ndarray, py: np.ndarray) -> np.ndarray:
        person, fine = self._logits(n)
        x, y = (torch.as_tensor(p, device=person.device) for p in (px, py))
        labels = torch.cat([group[:, y, x] for group in fine]).argmax(0) * person[y, x]
        width, height = (int(length) for length in self._sizes[n])
        (rows, columns), weights = bilinear_cells(x, y, width, height, self._output.u.shape[-1])
        uv = torch.stack(
            [maps[n][labels, rows, columns].float() for maps in (self._output.u, self._output.v)]
        )
        uv = (uv * weights).sum(1).clamp(0, 1) * 255 * (labels > 0)
        return torch.cat([labels[None], uv]).to(torch.uint8).cpu().numpy()

    def whole(self, n: int) -> np.ndarray:
        box = torch.tensor([[0, 0, *self._sizes[n].tolist()]], dtype=torch.float32)
        (result,) = densepose_results(self._output[int(n)].to(torch.float32), box)
        return result.iuv_uint8().cpu().numpy()


def _beyond_background(groups: Iterable[torch.Tensor]) -> torch.Tensor:
    """Where any channel exceeds the first, which wins ties. groups: (c, h, w) each."""
    first, *others = groups
    background = first[0]
    others = [first[1:], *others] if len(first) > 1 else others
    return functools.reduce(torch.maximum, (group.amax(0) for group in others)) > background


def bilinear_cells(
    x: torch.Tensor, y: torch.Tensor, width: int, height: int, side: int
) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The four cells of a map, and their weights, from which pixels of a box are interpolated.

    As in ``interpolate(align_corners=False)``: half-pixel centres, clamped at the border.

    Args:
        x, y: (P,) pixels of a box of ``width`` x ``height``. side: S of the map.

    Returns:
        rows and columns (4, P); weights (4, P) float32.
    """
    low, high, share = [], [], []
    for pixel, length in ((y, height), (x, width)):
        position = ((pixel.float() + 0.5) * (side / length) - 0.5).clamp(min=0)
        first = position.long().clamp(max=side - 1)
        low.append(first)
        high.append((first + 1).clamp(max=side - 1))
        share.append(position - first)
    rows = torch.stack([low[0], low[0], high[0], high[0]])
    columns = torch.stack([low[1], high[1], low[1], high[1]])
    (sy, sx) = share
    weights = torch.stack([(1 - sy) * (1 - sx), (1 - sy) * sx, sy * (1 - sx), sy * sx])
    return (rows, columns), weights
