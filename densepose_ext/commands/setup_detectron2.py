"""``densepose-ext setup-detectron2``: install Detectron2 into this environment."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("--constraints", metavar="FILE", help="constraints file for pip")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..processes.detectron2_setup import REQUIREMENT, install_detectron2, is_installed

    if is_installed("detectron2"):
        print("Detectron2 is already installed")
        return 0
    print(f"installing Detectron2 ({REQUIREMENT}), and torch (3 GB) if missing", flush=True)
    install_detectron2(args.constraints)
    print("done")
    return 0
