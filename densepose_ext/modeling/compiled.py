"""Inference compiled with torch.compile: on a GPU each part of a model becomes one CUDA graph.

A GPU computes a picture faster than Python can launch its operations one by one. What surrounds
the parts (non-maximum suppression, RoIAlign, results) has shapes that depend on the picture.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .map_predictor import MapPredictor
from .nested_tensors import map_tensors, tensors_in

logger = logging.getLogger(f"detectron2.{__name__}")

#: A part is compiled for at most so many shapes, and runs as it is for all others.
MOST_SHAPES = 12

#: The number of rows that a part is run with: (rows, numbers that it is compiled for) -> number.
Rows = Callable[[int, Iterable[int]], int]


def compile_model(model: nn.Module, backend: str = "inductor") -> None:
    """Compiles the parts of a model for inference, in place; parameters keep their names.

    These are the backbone, and the heads of RPN, boxes, dense pose and second look; heads of masks
    and keypoints stay as they are. A part is compiled when it first meets a shape, which takes
    seconds to a minute, and gives the results of the model up to rounding. RoIs are padded with
    zeros to a few numbers. With gradients, or while it is traced, a model runs as before.

    Args:
        model: a GeneralizedRCNN with DensePoseROIHeads, on its device, in evaluation mode.
        backend: of torch.compile.

    Raises:
        ModuleNotFoundError: there is no Triton, which torch.compile needs on a GPU.
        ValueError: there is no compiler.
    """
    on_gpu = next(model.parameters()).is_cuda
    if backend == "inductor":
        _check_compiler(on_gpu)
    heads: Any = model.roi_heads
    rpn: Any = model.proposal_generator
    proposals = functools.partial(_multiple, rpn.post_nms_topk[False])
    compiled = functools.partial(_compile, backend=backend)
    compiled(model.backbone, pictures)
    compiled(rpn.rpn_head, pictures)
    compiled(heads.box_head, proposals)
    compiled(heads.box_predictor, proposals)
    if heads.second_look_on:
        compiled(heads.second_look.classifier, power_of_two)
    if heads.densepose_on and heads.decoder is not None:
        compiled(heads.decoder, pictures)
    for module in heads.modules():
        if isinstance(module, MapPredictor):
            compiled(module, power_of_two, method="lowres_maps")
        # The heads of a cascade's stages have the same name.
        if getattr(module, "densepose_head", None) is not None:
            compiled(module.densepose_head, power_of_two)


def _compile(module: nn.Module, rows: Rows, backend: str, method: str = "forward") -> None:
    part = CompiledPart(getattr(module, method), rows, backend)
    # The module itself stays, so its attributes and the names of its parameters do.
    setattr(module, method, part)


def pictures(rows: int, known: Iterable[int]) -> int:
    """A smaller batch, such as the last one of many, is padded to one that is compiled."""
    return min((number for number in known if number >= rows), default=rows)


def power_of_two(rows: int, known: Iterable[int]) -> int:
    """RoIs of people: any number is padded to 1, 2, 4, 8, etc."""
    return 1 << (rows - 1).bit_length()


def _multiple(step: int, rows: int, known: Iterable[int]) -> int:
    """Proposals, mostly as many as the RPN may return for each picture."""
    return -(-rows // step) * step


class CompiledPart:
    """A function of tensors that is compiled for each shape it is called with.

    Arguments and results are tensors, or tuples, lists or dictionaries of them, whose first
    dimension, rows, is that of pictures or RoIs, which are computed independently.
    """

    def __init__(self, function: Callable, rows: Rows, backend: str):
        self.function, self.rows, self.backend = function, rows, backend
        self._compiled: dict[tuple, dict[int, Callable]] = {}

    def __getstate__(self) -> dict:
        # A copy of the model compiles its own modules.
        return {**vars(self), "_compiled": {}}

    def __call__(self, *inputs: Any) -> Any:
        if torch.is_grad_enabled() or torch.jit.is_tracing() or torch.compiler.is_compiling():
            return self.function(*inputs)
        tensors = list(tensors_in(inputs))
        rows = len(tensors[0])
        function = self._for(rows, tensors) if rows else None
        if function is None:
            return self.function(*inputs)
        number, compiled = function
        if number > rows:
            padding = number - rows
            inputs = map_tensors(lambda x: F.pad(x, (0, 0) * (x.dim() - 1) + (0, padding)), inputs)
        results = compiled(*inputs)
        if number > rows or tensors[0].is_cuda:
            # The memory of a CUDA graph's results is written to when it runs again.
            results = map_tensors(lambda x: x[:rows].clone(), results)
        return results

    def _for(self, rows: int, tensors: list[torch.Tensor]) -> tuple[int, Callable] | None:
        """The number of rows to compute, and the function for them; None beyond MOST_SHAPES."""
        device = tensors[0].device.type
        autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
        shapes = (autocast, *((x.shape[1:], x.dtype, x.stride()[1:]) for x in tensors))
        known = self._compiled.get(shapes, {})
        number = self.rows(rows, known)
        if number not in known:
            if sum(map(len, self._compiled.values())) >= MOST_SHAPES:
                _warn_of_shapes()
                return None
            known[number] = self._new(device)
            self._compiled[shapes] = known
        return number, known[number]

    def _new(self, device: str) -> Callable:
        function = self.function

        def run(*inputs):
            return function(*inputs)

        # torch.compile counts recompilations by code object, all copies of a closure together.
        run = FunctionType(run.__code__.replace(), globals(), closure=run.__closure__)
        has_graphs = device == "cuda" and self.backend == "inductor"
        mode = "reduce-overhead" if has_graphs else None
        return torch.compile(run, backend=self.backend, mode=mode, dynamic=False)


@functools.cache
def _warn_of_shapes() -> None:
    logger.warning(
        "pictures of more than %d sizes: the further ones run without compilation", MOST_SHAPES
    )


def _check_compiler(on_gpu: bool) -> None:
    """Raises ModuleNotFoundError or ValueError if torch.compile lacks what it calls."""
    if on_gpu and importlib.util.find_spec("triton") is None:
        raise ModuleNotFoundError(
            "compile: torch.compile needs Triton on a GPU, and there is none: pip install triton"
        )
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    wanted = os.environ.get("CC" if on_gpu else "CXX", "")
    kinds = [wanted] if wanted else (["cc", "gcc", "clang"] if on_gpu else [usual])
    if not any(map(shutil.which, kinds)):
        language, variable = ("C", "CC") if on_gpu else ("C++", "CXX")
        raise ValueError(
            f"compile: torch.compile needs a {language} compiler, and there is no"
            f" {' or '.join(kinds)}; {variable} may name another one"
        )
