"""The result classes of the official ``densepose.structures``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from ..evaluation.results import decode_iuv, encode_iuv
from ..structures import DensePoseOutput as DensePoseChartPredictorOutput

__all__ = [
    "DensePoseChartPredictorOutput",
    "DensePoseChartResult",
    "DensePoseChartResultWithConfidences",
    "DensePoseResult",
]


@dataclass
class DensePoseChartResult:
    """Dense pose of a person, in a box of whole pixels.

    Attributes:
        labels: (h, w) fine part at each pixel, 0 for background.
        uv: (2, h, w) float32.
    """

    labels: torch.Tensor
    uv: torch.Tensor

    def to(self, device: torch.device | str) -> DensePoseChartResult:
        """A copy on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in values.items()}
        return type(self)(**moved)


@dataclass
class DensePoseChartResultWithConfidences(DensePoseChartResult):
    """The same with confidences (h, w); None if the model does not predict one."""

    sigma_1: Any = None
    sigma_2: Any = None
    kappa_u: Any = None
    kappa_v: Any = None
    fine_segm_confidence: Any = None
    coarse_segm_confidence: Any = None


class DensePoseResult:
    """The encoding of results files and earlier versions: a PNG of I, U * 255, V * 255."""

    @staticmethod
    def encode_png_data(arr: np.ndarray) -> str:
        """Encodes (3, h, w) uint8 as a PNG in base64."""
        return encode_iuv(arr)

    @staticmethod
    def decode_png_data(shape: tuple[int, int, int], s: str) -> np.ndarray:
        """Decodes a PNG in base64 to (3, h, w) uint8.

        Raises:
            ValueError: it is not a PNG of this shape.
        """
        return decode_iuv(s, list(shape))
