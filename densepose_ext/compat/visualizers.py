"""Visualizers with the constructors and methods of the official project's.

Each has ``visualize(image_bgr, data)``, where ``data`` comes from its extractor. As in the official
project, the image is changed in place unless ``inplace=False``, later people are drawn over earlier
ones, and options for other visualizers are ignored.

Letters: N people, (H, W) the image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from ..structures import DensePoseResult, Person
from ..texture import Atlas, apply_texture
from ..visualization import draw_boxes, draw_contours
from ..visualization.compose import stacked

__all__ = [
    "BoundingBoxVisualizer",
    "CompoundVisualizer",
    "DensePoseResultsContourVisualizer",
    "DensePoseResultsFineSegmentationVisualizer",
    "DensePoseResultsUVisualizer",
    "DensePoseResultsVVisualizer",
    "DensePoseResultsVisualizer",
    "DensePoseResultsVisualizerWithTexture",
    "ScoredBoundingBoxVisualizer",
    "get_texture_atlas",
]


class DensePoseResultsVisualizer(ABC):
    """Base class of visualizers for results with I, U, V."""

    def __init__(self, inplace: bool = True, **ignored: Any):
        self.inplace = inplace

    def visualize(
        self, image_bgr: np.ndarray, results_and_boxes_xywh: tuple[Sequence[Any] | None, Any]
    ) -> np.ndarray:
        """Draws people.

        Args:
            image_bgr: (H, W, 3) uint8.
            results_and_boxes_xywh: N results with ``labels`` and ``uv``, and (N, 4) boxes; or
                (None, None), which leaves the image unchanged.
        """
        results, boxes = results_and_boxes_xywh
        if results is None or boxes is None:
            return image_bgr
        return _placed(image_bgr, self._drawn(image_bgr, _people(results, boxes)), self.inplace)

    @abstractmethod
    def _drawn(self, picture: np.ndarray, people: list[Person]) -> np.ndarray:
        """A copy of the image with people drawn on it."""


class _MappedVisualizer(DensePoseResultsVisualizer):
    """Draws one quantity in a colour map of OpenCV.

    Args:
        cmap: the colour map, cv2.COLORMAP_*.
        alpha: opacity.
        val_scale: factor that maps the quantity to 0..255, the indices of the colour map.
    """

    def __init__(
        self,
        inplace: bool = True,
        cmap: int = cv2.COLORMAP_PARULA,
        alpha: float = 0.7,
        val_scale: float = 255.0,
        **ignored: Any,
    ):
        super().__init__(inplace)
        self.cmap, self.alpha, self.val_scale = cmap, alpha, val_scale

    @abstractmethod
    def _quantity(self, result: DensePoseResult) -> np.ndarray:
        """(h, w) values to draw, at each pixel of a person's box."""

    def _drawn(self, picture: np.ndarray, people: list[Person]) -> np.ndarray:
        drawn = picture.copy()
        for n, where, labels in stacked(people, picture.shape[:2]):
            values = self._quantity(people[n].result)[where.of_labels] * self.val_scale
            colours = cv2.applyColorMap(values.clip(0, 255).astype(np.uint8), self.cmap)
            beneath = drawn[where.of_picture]
            mixed = cv2.addWeighted(beneath, 1 - self.alpha, colours, self.alpha, 0)
            cv2.copyTo(mixed, np.ascontiguousarray(labels[where.of_labels]), beneath)
        return drawn


class DensePoseResultsFineSegmentationVisualizer(_MappedVisualizer):
    """Draws the parts."""

    def __init__(
        self,
        inplace: bool = True,
        cmap: int = cv2.COLORMAP_PARULA,
        alpha: float = 0.7,
        **ignored: Any,
    ):
        super().__init__(inplace, cmap, alpha, 255 / 24)

    def _quantity(self, result: DensePoseResult) -> np.ndarray:
        return result.labels.numpy().astype(np.float64)


class DensePoseResultsUVisualizer(_MappedVisualizer):
    """Draws U."""

    def _quantity(self, result: DensePoseResult) -> np.ndarray:
        return result.uv[0].numpy()


class DensePoseResultsVVisualizer(_MappedVisualizer):
    """Draws V."""

    def _quantity(self, result: DensePoseResult) -> np.ndarray:
        return result.uv[1].numpy()


class DensePoseResultsContourVisualizer(DensePoseResultsVisualizer):
    """Draws lines of equal U and V at tenths, whatever ``levels`` says."""

    def _drawn(self, picture: np.ndarray, people: list[Person]) -> np.ndarray:
        return draw_contours(picture, people)


def get_texture_atlas(path: str | None) -> Atlas | None:
    """Reads a texture atlas of 6 x 4 tiles from an image file."""
    return None if path is None else Atlas.read(path)


class DensePoseResultsVisualizerWithTexture(DensePoseResultsVisualizer):
    """Draws people with a texture.

    Args:
        texture_atlas: from :func:`get_texture_atlas`, or an array (6 S, 4 S, 3) uint8 BGR.
    """

    def __init__(self, texture_atlas: Atlas | np.ndarray, inplace: bool = True, **ignored: Any):
        super().__init__(inplace)
        self.atlas = texture_atlas if isinstance(texture_atlas, Atlas) else Atlas(texture_atlas)

    def _drawn(self, picture: np.ndarray, people: list[Person]) -> np.ndarray:
        return apply_texture(picture, people, self.atlas)


class BoundingBoxVisualizer:
    """Draws boxes."""

    def __init__(self, inplace: bool = True, **ignored: Any):
        self.inplace = inplace

    def visualize(self, image_bgr: np.ndarray, boxes_xywh: Any) -> np.ndarray:
        """Draws boxes (N, 4) x, y, width, height."""
        people = _boxed(boxes_xywh, [1.0] * len(boxes_xywh))
        return _placed(image_bgr, draw_boxes(image_bgr, people, scores=False), self.inplace)


class ScoredBoundingBoxVisualizer:
    """Draws boxes with their scores."""

    def __init__(self, inplace: bool = True, **ignored: Any):
        self.inplace = inplace

    def visualize(self, image_bgr: np.ndarray, boxes_and_scores: tuple[Any, Any]) -> np.ndarray:
        """Draws boxes (N, 4) x, y, width, height, and scores (N,)."""
        boxes, scores = boxes_and_scores
        drawn = draw_boxes(image_bgr, _boxed(boxes, _array(scores).tolist()))
        return _placed(image_bgr, drawn, self.inplace)


class CompoundVisualizer:
    """Applies several visualizers in turn."""

    def __init__(self, visualizers: Sequence[Any]):
        self.visualizers = list(visualizers)

    def visualize(self, image_bgr: np.ndarray, data: Sequence[Any]) -> np.ndarray:
        """Draws with each visualizer, which gets one item of ``data``.

        Raises:
            ValueError: the numbers of items and visualizers differ.
        """
        if len(data) != len(self.visualizers):
            raise ValueError(f"{len(data)} data for {len(self.visualizers)} visualizers")
        for visualizer, own in zip(self.visualizers, data):
            image_bgr = visualizer.visualize(image_bgr, own)
        return image_bgr


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _people(results: Sequence[Any], boxes_xywh: Any) -> list[Person]:
    """People with increasing scores, so that later ones are drawn on top."""
    boxes = _xyxy(boxes_xywh)
    return [
        Person(
            box,
            float(n),
            DensePoseResult(one.labels.detach().cpu().to(torch.uint8), one.uv.detach().cpu()),
        )
        for n, (one, box) in enumerate(zip(results, boxes))
    ]


def _boxed(boxes_xywh: Any, scores: Sequence[float]) -> list[Person]:
    nothing = DensePoseResult(torch.zeros(1, 1, dtype=torch.uint8), torch.zeros(2, 1, 1))
    return [Person(box, score, nothing) for box, score in zip(_xyxy(boxes_xywh), scores)]


def _xyxy(boxes_xywh: Any) -> np.ndarray:
    boxes = _array(boxes_xywh).astype(np.float32).reshape(-1, 4).copy()
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _placed(picture: np.ndarray, drawn: np.ndarray, inplace: bool) -> np.ndarray:
    """The drawing, copied into the image's array if ``inplace``."""
    if not inplace:
        return drawn
    picture[:] = drawn
    return picture
