"""``densepose-ext configs``: the configs that come with the package."""

from __future__ import annotations

import argparse

from ..config import get_config_file, list_configs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="print the path of this config alone")


def run(args: argparse.Namespace) -> int:
    if args.name:
        print(get_config_file(args.name))
    else:
        print("\n".join(list_configs()))
    return 0
