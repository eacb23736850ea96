"""``densepose-ext setup-detectron2``: installs Detectron2 into this environment."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "--constraints", metavar="FILE", help="versions of what is installed, as pip takes them"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..processes.detectron2_setup import REQUIREMENT, install_detectron2, is_installed

    if is_installed("detectron2"):
        print("Detectron2 is installed already, nothing to do")
        return 0
    print(f"fetching Detectron2 ({REQUIREMENT}), and torch (3 GB) if it is missing", flush=True)
    install_detectron2(args.constraints)
    print("done")
    return 0
