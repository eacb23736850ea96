"""``densepose-ext masks``: masks of body parts, for virtual try-on and inpainting."""

from __future__ import annotations

import argparse

from .picture_runs import add_run_arguments, run_over_pictures, size_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_run_arguments(parser)
    parser.add_argument(
        "--parts",
        required=True,
        metavar="P,P,...",
        help="parts that are white in the mask: torso, arms, hands, legs, feet, head, "
        "left-upper-arm, torso-front and so on, upper-body (torso and arms), lower-body (legs), "
        "body, or numbers from 1 to 24; hair is included as far as the model labels it as head",
    )
    parser.add_argument(
        "--grow", type=int, default=0, metavar="N", help="grow the mask by N pixels; default 0"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..surface.part_selection import select_parts

    parts = select_parts(args.parts)
    if args.grow < 0:
        raise ValueError(f"--grow {args.grow}: expected 0 or more")
    from ..prediction.writers import Options

    options = Options(
        person=args.person or "all", size=size_of(args.size), parts=parts, grow=args.grow
    )
    return run_over_pictures(args, ("part-mask",), options)
