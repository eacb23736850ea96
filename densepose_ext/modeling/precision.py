"""The precisions that parts of a model can be computed in at inference."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .nested_tensors import map_tensors

logger = logging.getLogger(f"detectron2.{__name__}")

#: Values of MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION.
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
#: Features of x86 CPUs, as torch names them, without which a precision is slower than fp32.
_CPU_FEATURES = {torch.bfloat16: ("amx_bf16", "avx512_bf16"), torch.float16: ("amx_fp16",)}


def computed_in(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which a network computes in a precision, with parameters in single precision."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def lower_precision(model: Any, dtype: torch.dtype) -> None:
    """Computes backbone, RPN head and box head in a precision, in place.

    Their results are single precision again, in which boxes are decoded and features pooled:
    bfloat16 would move boxes by pixels. Dense pose branch and second look have a key of their own,
    MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION; heads of masks and keypoints stay as they are.

    Args:
        model: a GeneralizedRCNN, for inference only. Parameters keep their names and types.
    """
    if model.device.type == "cpu":
        _warn_if_slow(dtype)
    for part in (model.backbone, model.proposal_generator.rpn_head, model.roi_heads.box_head):
        part.forward = _InPrecision(part.forward, dtype)


def _warn_if_slow(dtype: torch.dtype) -> None:
    found = getattr(torch.cpu, "get_capabilities", dict)()
    features = _CPU_FEATURES[dtype]
    if found.get("architecture") == "x86_64" and not any(map(found.get, features)):
        [name] = (name for name, of in PRECISIONS.items() if of == dtype)
        logger.warning(
            f"{name} is slower than fp32 on this CPU, which lacks {' and '.join(features)}"
        )


class _InPrecision:
    """A method of a module that computes in a precision and returns single precision.

    An object rather than a closure, so that the copy of a module calls its own method.
    """

    def __init__(self, method: Callable, dtype: torch.dtype):
        self.method, self.dtype = method, dtype

    def __call__(self, inputs: Any) -> Any:
        module: nn.Module = self.method.__self__
        with computed_in(self.dtype, next(module.parameters()).device):
            results = self.method(inputs)
        return map_tensors(torch.Tensor.float, results)
