"""``densepose-ext export``: writes a model as TorchScript and ONNX."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the files"
    )
    parser.add_argument(
        "--what",
        choices=["model", "head"],
        default="model",
        help="model (default): picture to boxes, scores and maps; head: features and boxes to "
        "maps. With either comes the decoder: maps and boxes to labels, U and V",
    )
    parser.add_argument(
        "--format",
        default="torchscript",
        metavar="F,F",
        help="some of torchscript, onnx (needs the packages onnx and onnxruntime); default "
        "torchscript",
    )
    parser.add_argument(
        "--model", metavar="NAME|CONFIG", help="a model or config of the package, or a YAML file"
    )
    parser.add_argument("--weights", metavar="FILE|URL", help="of the model; default: its own")
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="S",
        help="leave people with a lower score out, for good; default: of the config",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="cpu (default), cuda: where TorchScript will run. ONNX runs everywhere",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..export import export_model
    from ..prediction.predictor import DensePosePredictor

    predictor = DensePosePredictor(args.model, args.weights, args.device, "fp32", args.min_score)
    written = export_model(predictor, args.out, args.format.split(","), args.what)
    for path, difference in written.items():
        size = path.stat().st_size / 1e6
        print(f"{path}: {size:.1f} MB, differs by {difference:.1g} at most from the model")
    return 0
