"""What is exported, and the files it is written to."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..surface.cache import replacing

#: The first version of ONNX's operators that pools RoIs as ROIAlignV2 does.
_OPSET = 16


@dataclass
class Network:
    """A module that takes tensors and gives tensors.

    Attributes:
        module: in evaluation mode.
        inputs: by name, tensors to trace it with.
        outputs: names of what it gives.
        varying: axes of inputs and outputs that other tensors may have of another length, each
            with a name: {tensor: {axis: name}}.
    """

    module: nn.Module
    inputs: dict[str, torch.Tensor]
    outputs: list[str]
    varying: dict[str, dict[int, str]]


def write_torchscript(network: Network, path: Path) -> None:
    """Traces the network and writes it for ``torch.jit.load``.

    A file with RoI pooling or non-maximum suppression needs ``import torchvision`` to be loaded.
    """
    with torch.no_grad(), _quiet():
        # Tracing twice to compare takes twice as long, and could not see another size go wrong.
        traced = torch.jit.trace(
            network.module, tuple(network.inputs.values()), check_trace=False
        )
    with replacing(path) as temporary:
        traced.save(os.fspath(temporary))


def write_onnx(network: Network, path: Path) -> None:
    """Writes the network as ONNX.

    Raises:
        ModuleNotFoundError: ``onnx`` is missing.
        ValueError: a part of the network cannot be written as ONNX.
    """
    import onnx  # noqa: F401  # the exporter needs it, and says so only at its end

    try:
        with torch.no_grad(), _quiet(), replacing(path) as temporary:
            # The exporter that follows a trace: the other one needs onnxscript, and takes no
            # network whose shapes depend on what it finds.
            torch.onnx.export(
                network.module,
                tuple(network.inputs.values()),
                os.fspath(temporary),
                input_names=list(network.inputs),
                output_names=network.outputs,
                dynamic_axes=network.varying,
                opset_version=_OPSET,
                dynamo=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(f"{path.name} cannot be written as ONNX: {error}") from error


class _quiet(warnings.catch_warnings):
    """Without the warnings of tracing: what they warn of is compared in the tests."""

    def __enter__(self):
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        return entered
