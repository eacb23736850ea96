"""``densepose-ext demo``: trains and evaluates a model on rendered people, from nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "--out",
        default="output/demo",
        help="output folder, where an interrupted run resumes; default %(default)s",
    )
    parser.add_argument("--config", help="YAML config of another model or schedule")
    parser.add_argument("overrides", nargs="*", metavar="KEY VALUE", help="config overrides")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..demo import run_demo

    page = run_demo(Path(args.out), args.config, args.overrides)
    print(f"\n{page.resolve()}")
    return 0
