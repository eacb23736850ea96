"""``densepose-ext agreement``: distances on the body between annotators' answers."""

from __future__ import annotations

import argparse

from ..processes.messages import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "first",
        metavar="FIRST",
        help="COCO JSON with dp_* keys; without SECOND, written by annotate",
    )
    parser.add_argument(
        "second",
        metavar="SECOND",
        nargs="?",
        help="the same people by another annotator; default: both are in FIRST's log",
    )
    parser.add_argument(
        "--surface",
        help="surface that I, U, V refer to: open, smpl, or a folder; required with SECOND",
    )
    parser.add_argument("--plot", metavar="FILE", help="box plot by group of parts: PNG, SVG, PDF")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from tabulate import tabulate

    from ..annotation.agreement import compare, draw, placed_in_file, placed_in_project
    from ..annotation.store import LOG_SUFFIX
    from ..data.annotation_file import read_annotations
    from ..surface.registry import get_surface

    name = args.surface
    if args.second is None:
        begun_with, layers = placed_in_project(args.first + LOG_SUFFIX)
        if len(layers) < 2:
            raise ValueError(
                f"{args.first}: no person has points by two annotators (annotate --annotators 2)"
            )
        first, second = layers[:2]
        name = name or begun_with
    else:
        first, second = (
            placed_in_file(read_annotations(path)) for path in (args.first, args.second)
        )
        if name is None:
            raise ValueError("--surface is required with two files: what their I, U, V refer to")
    found = compare(first, second, get_surface(name))
    rows = [
        (row["group"], row["points"], row["mean"], row["median"], row["90%"], row["same part"])
        for row in found.rows()
    ]
    headers = ("", "points", "mean (cm)", "median", "90%", "same part")
    print(tabulate(rows, headers, floatfmt=("", "d", ".1f", ".1f", ".1f", ".0%")))
    people = counted(found.people, "person")
    print(f"{people}; {counted(found.alone, 'point')} by only one annotator")
    if args.plot:
        points = counted(len(found.part), "point")
        draw(found, args.plot, f"{people}, {points}, two annotators")
        print(args.plot)
    return 0
