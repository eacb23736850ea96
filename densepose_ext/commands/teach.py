"""``densepose-ext teach``: train a teacher on sparse points, and write its dense targets."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("--annotations", required=True, help="COCO JSON with dp_* keys and masks")
    parser.add_argument("--images", required=True, help="folder of the images")
    parser.add_argument(
        "--surface", required=True, help="surface that I, U, V refer to: open, smpl, or a folder"
    )
    parser.add_argument(
        "--out", required=True, help="output folder, where an interrupted run resumes"
    )
    parser.add_argument(
        "--config",
        default="densepose_teacher_EffLite0.yaml",
        help="the teacher's config: a name or a YAML file",
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="number of processes; on GPUs, one each; default 1"
    )
    parser.add_argument(
        "opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="change the config"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    import torch

    from ..config import load_config
    from ..engine.launch import launch
    from ..engine.output_folder import check_writable
    from ..files.configs import get_config_file
    from ..teacher.run import META_ARCHITECTURE, teach

    if args.processes < 1:
        raise ValueError(f"--processes {args.processes}: expected 1 or more")
    path = args.config if os.path.isfile(args.config) else get_config_file(args.config)
    out = Path(args.out)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    opts = ["MODEL.DEVICE", device, *args.opts, "OUTPUT_DIR", str(out / "teacher")]
    cfg = load_config(path, opts)
    if cfg.MODEL.META_ARCHITECTURE != META_ARCHITECTURE:
        raise ValueError(
            f"{path}: MODEL.META_ARCHITECTURE = {cfg.MODEL.META_ARCHITECTURE!r}, expected"
            f" {META_ARCHITECTURE!r}"
        )
    check_writable(cfg.OUTPUT_DIR)
    if cfg.MODEL.DEVICE == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # Windows has no empty variables
    launch(teach, args.processes, args=(cfg, args.annotations, args.images, args.surface, out))
    print(f"annotations with dense targets: {out / 'annotations.json'}")
    return 0
