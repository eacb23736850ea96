"""Extractors, which get the data for visualizers from Detectron2's Instances.

Letters: N people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from detectron2.structures import Instances

from ..modeling.postprocessing import densepose_results
from ..prediction.charted import charted
from ..structures import DensePoseResult, VertexResult
from .structures import DensePoseChartResult
from .visualizers import (
    BoundingBoxVisualizer,
    CompoundVisualizer,
    DensePoseResultsVisualizer,
    ScoredBoundingBoxVisualizer,
)

__all__ = [
    "CompoundExtractor",
    "DensePoseResultExtractor",
    "create_extractor",
    "extract_boxes_xywh_from_instances",
    "extract_scores_from_instances",
]

#: Called with Instances and, optionally, a selection of them.
Extractor = Callable[..., Any]


def extract_scores_from_instances(instances: Instances, select: Any = None) -> torch.Tensor | None:
    """(N,) scores; None if there are none."""
    if not instances.has("scores"):
        return None
    return instances.scores if select is None else instances.scores[select]


def extract_boxes_xywh_from_instances(
    instances: Instances, select: Any = None
) -> torch.Tensor | None:
    """(N, 4) boxes x, y, width, height; None if there are none."""
    if not instances.has("pred_boxes"):
        return None
    boxes = instances.pred_boxes.tensor.clone()
    boxes[:, 2:] -= boxes[:, :2]
    return boxes if select is None else boxes[select]


class DensePoseResultExtractor:
    """Extracts results with I, U, V, and their boxes."""

    def __call__(
        self, instances: Instances, select: Any = None
    ) -> tuple[list[DensePoseChartResult] | None, torch.Tensor | None]:
        """
        Returns:
            N results on the CPU, and (N, 4) boxes x, y, width, height; (None, None) for Instances
            without dense pose.

        Raises:
            ValueError: the mesh of the results has no charts.
        """
        if not instances.has("pred_densepose") or not instances.has("pred_boxes"):
            return None, None
        if select is not None:
            instances = instances[select]
        found = densepose_results(instances.pred_densepose, instances.pred_boxes.tensor)
        results = [_in_charts(one.map(torch.Tensor.cpu)) for one in found]
        return results, extract_boxes_xywh_from_instances(instances)


def _in_charts(result: DensePoseResult | VertexResult) -> DensePoseChartResult:
    if isinstance(result, VertexResult):
        result = charted(result)
        if result.uv is None:
            raise ValueError(f"the mesh {result.mesh} has no charts, so there are no U and V")
    return DensePoseChartResult(result.labels, result.uv)


class CompoundExtractor:
    """Returns the outputs of several extractors as a list."""

    def __init__(self, extractors: Sequence[Extractor]):
        self.extractors = list(extractors)

    def __call__(self, instances: Instances, select: Any = None) -> list:
        return [extractor(instances, select) for extractor in self.extractors]


def create_extractor(visualizer: object) -> Extractor:
    """The extractor for a visualizer.

    Raises:
        ValueError: it is not a visualizer of this package.
    """
    if isinstance(visualizer, CompoundVisualizer):
        return CompoundExtractor([create_extractor(one) for one in visualizer.visualizers])
    if isinstance(visualizer, DensePoseResultsVisualizer):
        return DensePoseResultExtractor()
    if isinstance(visualizer, ScoredBoundingBoxVisualizer):
        return CompoundExtractor([extract_boxes_xywh_from_instances, extract_scores_from_instances])
    if isinstance(visualizer, BoundingBoxVisualizer):
        return extract_boxes_xywh_from_instances
    raise ValueError(f"no extractor for a {type(visualizer).__name__}")
