"""Quantises an exported model to 8 bits, for CPUs: onnxruntime does the work.

Static quantisation (Jacob et al., CVPR 2018): the ranges of features are measured beforehand, here
on synthetic people, so that no data set is needed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..files.atomic import replacing
from ..prediction.exported import INT8_SUFFIX, ExportedPredictor
from ..prediction.people import People
from ..synthetic.example import make_example
from ..synthetic.settings import Settings
from .network import require_onnx

if TYPE_CHECKING:
    from onnx import GraphProto

#: Side of the synthetic pictures, and numbers of those of two splits: to calibrate, to check.
_SIDE = 480
_CALIBRATION, _CHECK = range(16), range(4)
#: Layers, by parts of their names, that compute scores, boxes and maps: in 8 bits, what they
#: compute would have 256 different values.
_LAST = ("objectness_logits", "anchor_deltas", "predictor", "second_look/Gemm")
#: What keeps features in 8 bits between layers.
_BETWEEN = ("Relu", "Clip", "MaxPool", "Add")
#: People below this score are not compared.
_MIN_SCORE = 0.5
#: Smallest share of pixels of people on which two files have to agree.
AGREEMENT = 0.7


def quantize_exported(model: str | os.PathLike) -> tuple[Path, float | None]:
    """Writes ``model_int8.onnx`` beside an exported ``model.onnx``, whose description it shares.

    Features and weights are in 8 bits, except in the last layers of each branch. Both files are
    compared on synthetic people.

    Args:
        model: ``model.onnx``, as written by :func:`export_model`.

    Returns:
        the file, and the share of the pixels of people with the same part by both files (None:
        the model finds nobody in the pictures).

    Raises:
        ValueError: it is no ONNX file, cannot be quantised, or the new file agrees with it on fewer
            pixels than ``AGREEMENT``, and is not kept.
        OSError: a file is missing or cannot be written.
    """
    model = Path(model)
    if model.suffix != ".onnx":
        raise ValueError(f"{model}: expected model.onnx, which is what 8 bits are made of")
    path = model.with_name(f"{model.stem}{INT8_SUFFIX}.onnx")
    exported = ExportedPredictor(model)
    with replacing(path) as temporary:
        _quantize(exported, temporary)
    try:
        agreement = agreement_of(exported, ExportedPredictor(path))
        if agreement is not None and agreement < AGREEMENT:
            raise ValueError(
                f"{path.name} has the part of {model.name} on {agreement:.0%} of the pixels of "
                f"people, expected {AGREEMENT:.0%} at least: the model does not bear 8 bits"
            )
    except ValueError:
        path.unlink()
        raise
    return path, agreement


def _quantize(exported: ExportedPredictor, path: Path) -> None:
    require_onnx()
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.inputs = _inputs(exported)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.inputs, None)

    with tempfile.TemporaryDirectory() as folder:
        fused = Path(folder) / "fused.onnx"
        quant_pre_process(exported.path, fused, skip_symbolic_shape=True)
        quantize_static(
            fused,
            path,
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=worth_quantizing(onnx.load(fused, load_external_data=False).graph),
        )


def _inputs(exported: ExportedPredictor) -> Iterator[dict[str, np.ndarray]]:
    for picture in _pictures("train", _CALIBRATION):
        yield {"picture": exported.network_input(picture)}


def _pictures(split: str, numbers: range) -> Iterator[np.ndarray]:
    for number in numbers:
        yield make_example(Settings(size=_SIDE), split, number).image[:, :, ::-1]


def worth_quantizing(graph: GraphProto) -> list[str]:
    """Names of the layers with weights but the last ones, and of what stands between them.

    Everything else would gain little, and a lone operator in 8 bits costs two conversions.
    """
    names, in_8_bits = [], set()
    for node in graph.node:  # in the order in which they are computed
        inputs = node.input if node.op_type == "Add" else node.input[:1]
        if node.op_type in ("Conv", "Gemm"):
            chosen = not any(last in node.name for last in _LAST)
        else:
            chosen = node.op_type in _BETWEEN and in_8_bits.issuperset(inputs)
        if chosen:
            names.append(node.name)
            in_8_bits.update(node.output)
    return names


def agreement_of(first: ExportedPredictor, second: ExportedPredictor) -> float | None:
    """The share of pixels with the same part, of those where either finds a person."""
    same = body = 0
    for picture in _pictures("val", _CHECK):
        parts, others = (_parts(predictor, picture) for predictor in (first, second))
        either = (parts > 0) | (others > 0)
        body += int(either.sum())
        same += int((parts == others)[either].sum())
    return same / body if body else None


def _parts(predictor: ExportedPredictor, picture: np.ndarray) -> np.ndarray:
    people = predictor(picture)
    certain = (person for person in people if person.score >= _MIN_SCORE)
    return People(certain, people.size).to_iuv()[:, :, 0]
