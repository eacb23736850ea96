"""``densepose-ext demo``: from nothing to a trained, scored, pictured model."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "--out", default="output/demo", help="folder; a broken run goes on there (%(default)s)"
    )
    parser.add_argument("--config", help="YAML file of another model or schedule")
    parser.add_argument("overrides", nargs="*", metavar="KEY VALUE", help="changes to the config")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..demo import run_demo

    page = run_demo(Path(args.out), args.config, args.overrides)
    print(f"\n{page.resolve()}")
    return 0
