"""``densepose-ext export``: exports a model to TorchScript and ONNX."""

from __future__ import annotations

import argparse
from pathlib import Path

from .name_lists import names_in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder")
    parser.add_argument(
        "--what",
        choices=["model", "head"],
        default="model",
        help="model (default): from a picture to boxes, scores and maps; head: from features and "
        "boxes to maps. Both include the decoder, from maps and boxes to labels, U and V",
    )
    parser.add_argument(
        "--format",
        default="torchscript",
        metavar="F,F",
        help="torchscript (default), onnx (needs the packages onnx and onnxruntime), or both",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="also write model_int8.onnx, in 8 bits, for CPUs (needs --format onnx); it is "
        "calibrated on synthetic people, which takes about a minute",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|CONFIG",
        help="name of a shipped model or config, or a YAML file; default: the shipped model",
    )
    parser.add_argument(
        "--weights", metavar="FILE|URL", help="checkpoint; default: the model's own"
    )
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="S",
        help="drop people with a lower score; fixed in the exported files; default: the config's",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="where the TorchScript files will run: cpu (default) or cuda. ONNX files run on both",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..export import check_formats, export_model, quantize_exported
    from ..prediction.predictor import DensePosePredictor

    formats = names_in(args.format, "--format")
    check_formats(formats)
    if args.int8 and not ("onnx" in formats and args.what == "model"):
        raise ValueError("--int8 needs --format onnx and --what model")
    predictor = DensePosePredictor(args.model, args.weights, args.device, "fp32", args.min_score)
    written = export_model(predictor, args.out, formats, args.what)
    for path, difference in written.items():
        size = path.stat().st_size / 1e6
        print(f"{path}: {size:.1f} MB, differs by {difference:.1g} at most from the model")
    if args.int8:
        path, agreement = quantize_exported(args.out / "model.onnx")
        compared = (
            "finds nobody in the pictures to compare"
            if agreement is None
            else f"same part as model.onnx on {agreement:.1%} of the pixels of people"
        )
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {compared}")
    return 0
