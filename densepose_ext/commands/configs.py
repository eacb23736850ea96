"""``densepose-ext configs``: the configs that come with the package."""

from __future__ import annotations

import argparse

from ..files.configs import get_config_file, list_configs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("name", nargs="?", help="print the path of this config")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    if args.name:
        print(get_config_file(args.name))
    else:
        print("\n".join(list_configs()))
    return 0
