"""A network to be exported, and the file formats."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import torch
from torch import nn

from ..files.atomic import replacing

#: RoIAlign is that of ROIAlignV2 from operator set 16 on; OpenVINO reads ReduceLogSumExp of 18.
_OPSET = 18


@dataclass
class Network:
    """A module from tensors to tensors.

    Attributes:
        module: in evaluation mode.
        inputs: by name, tensors to trace it with.
        others: tensors of other sizes, to check the export with.
        outputs: names of its outputs.
        varying: axes of inputs and outputs whose length may vary: {tensor: {axis: name}}.
    """

    module: nn.Module
    inputs: dict[str, torch.Tensor]
    others: dict[str, torch.Tensor]
    outputs: list[str]
    varying: dict[str, dict[int, str]]

    def describe(self) -> dict:
        """Names, types and shapes, for JSON; a varying axis has its name in place of a length."""
        inputs = {
            name: {
                "type": str(tensor.dtype).removeprefix("torch."),
                "shape": [
                    self.varying.get(name, {}).get(axis, length)
                    for axis, length in enumerate(tensor.shape)
                ],
            }
            for name, tensor in self.inputs.items()
        }
        return {"inputs": inputs, "outputs": self.outputs}


def write_torchscript(network: Network, path: Path) -> None:
    """Traces the network and writes it as TorchScript.

    To load a file with RoI pooling or non-maximum suppression, torchvision has to be imported.
    """
    with torch.no_grad(), without_warnings():
        # not checked by torch: check_export compares at another size, where traces go wrong
        traced = torch.jit.trace(network.module, tuple(network.inputs.values()), check_trace=False)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            torch.jit.save(traced, file)


def write_onnx(network: Network, path: Path) -> None:
    """Writes the network as ONNX.

    Raises:
        ValueError: a part of the network cannot be written as ONNX, or the packages are missing.
    """
    require_onnx()
    # The tracing exporter: the other one needs onnxscript, and fails on networks whose
    # shapes depend on the data. Before torch 2.5 there was only this one.
    choice = {"dynamo": False} if "dynamo" in signature(torch.onnx.export).parameters else {}
    try:
        with torch.no_grad(), without_warnings(), replacing(path) as temporary:
            torch.onnx.export(
                network.module,
                tuple(network.inputs.values()),
                os.fspath(temporary),
                input_names=list(network.inputs),
                output_names=network.outputs,
                dynamic_axes=network.varying,
                opset_version=_OPSET,
                **choice,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(f"{path.name} cannot be written as ONNX: {error}") from error


def require_onnx():
    """onnxruntime.

    Raises:
        ValueError: onnxruntime, or onnx, which torch's exporter needs, is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the format onnx needs {error.name}: pip install 'densepose_ext[export]'"
        ) from error
    return onnxruntime


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silences torch's tracing warnings: check_export checks what they are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
