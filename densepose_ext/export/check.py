"""Checks that an exported file computes what the model does."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from .network import Network, require_onnx, without_warnings

#: Largest allowed difference, absolute and relative.
TOLERANCE = 1e-3


def run_exported(path: Path, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Outputs of an exported file, ``.ts`` or ``.onnx``."""
    if path.suffix == ".onnx":
        onnxruntime = require_onnx()
        session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        return [torch.from_numpy(value) for value in session.run(None, arrays)]
    with torch.no_grad(), without_warnings():
        return list(torch.jit.load(os.fspath(path))(*inputs.values()))


def check_export(network: Network, path: Path) -> float:
    """Runs an exported file on :attr:`Network.others`, whose sizes differ from the traced ones.

    Returns:
        the largest absolute difference from the module's own outputs.

    Raises:
        ValueError: an output has another shape or differs by more than ``TOLERANCE``: tracing has
            fixed something that depends on the input, such as a picture size.
    """
    with torch.no_grad():
        expected = network.module(*network.others.values())
    largest = 0.0
    for name, value, found in zip(network.outputs, expected, run_exported(path, network.others)):
        if found.shape != value.shape:
            raise ValueError(
                f"{path.name} is not what the model computes: {name} has the shape "
                f"{tuple(found.shape)}, expected {tuple(value.shape)}"
            )
        difference = (found.double() - value.double()).abs()
        # written so that NaN fails, too
        if not (difference <= TOLERANCE * (1 + value.double().abs())).all():
            raise ValueError(
                f"{path.name} is not what the model computes: {name} differs by "
                f"{difference.max():.2g}, expected {TOLERANCE:.0e} at most"
            )
        if difference.numel():
            largest = max(largest, float(difference.max()))
    return largest
