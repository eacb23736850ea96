"""A picture by the shipped model: PyTorch, and the same exported to ONNX, also in 8 bits.

python benchmarks/bench_exported.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from timing import THREADS, measure, report

from densepose_ext import DensePosePredictor, ExportedPredictor
from densepose_ext.export import export_model, quantize_exported
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings


def main() -> None:
    predictor = DensePosePredictor(device="cpu", min_score=0.5)
    with tempfile.TemporaryDirectory() as folder:
        export_model(predictor, folder, ["onnx"])
        path = Path(folder) / "model.onnx"
        exported = ExportedPredictor(path, threads=THREADS)
        quantized = ExportedPredictor(quantize_exported(path)[0], threads=THREADS)
        for number in range(3):
            picture = make_example(Settings(size=480), "val", number).image[:, :, ::-1]
            functions = {
                "PyTorch": lambda picture=picture: predictor(picture),
                "onnxruntime": lambda picture=picture: exported(picture),
                "onnxruntime, int8": lambda picture=picture: quantized(picture),
            }
            people = len(predictor(picture))
            report(f"480 x 480, {people} people", measure(functions), "PyTorch")


if __name__ == "__main__":
    main()
