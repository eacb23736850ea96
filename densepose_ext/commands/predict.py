"""``densepose-ext predict``: finds people and their dense pose in pictures."""

from __future__ import annotations

import argparse

from .name_lists import names_in
from .picture_runs import add_run_arguments, run_over_pictures, size_of

#: What ``--preset`` takes.
PRESET_NAMES = ("viton", "magicanimate", "controlnet-parula", "controlnet-viridis", "smpl-texture")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_run_arguments(parser)
    written = parser.add_mutually_exclusive_group()
    written.add_argument(
        "--format",
        default="overlay,iuv",
        metavar="F,F,...",
        help="iuv, overlay, parts, uv, control, contour, mask, labels, npz, vertices (files for "
        "each picture), json (results.json, in the official format); default overlay,iuv",
    )
    written.add_argument(
        "--preset", choices=PRESET_NAMES, help="pictures as the system of that name expects them"
    )
    parser.add_argument(
        "--bgr",
        action="store_true",
        help="for iuv: write V, U, I in R, G, B, which OpenCV reads as I, U, V",
    )
    parser.add_argument(
        "--surface",
        default="open",
        metavar="NAME|DIR",
        help="for vertices: body the model was trained on: open (default), smpl, or a folder with "
        "the official files",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..prediction.presets import PRESETS
    from ..prediction.writers import Options

    person = PRESETS[args.preset].person if args.preset else "all"
    options = Options(
        bgr=args.bgr,
        surface=args.surface,
        person=args.person or person,
        size=size_of(args.size),
    )
    formats = (args.preset,) if args.preset else names_in(args.format, "--format")
    for option, is_given, form in (
        ("bgr", args.bgr, "iuv"),
        ("surface", args.surface != "open", "vertices"),
    ):
        if is_given and form not in formats:
            raise ValueError(f"--{option} goes with --format {form}")
    return run_over_pictures(args, formats, options)
