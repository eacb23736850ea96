"""``densepose-ext synth``: renders a dataset of synthetic people with exact dense pose."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..processes.cores import number_of_cores
from ..processes.messages import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("--out", help="folder of the dataset, where an interrupted run resumes")
    parser.add_argument("--preview", metavar="PICTURE", help="write a contact sheet to this file")
    parser.add_argument("--train", type=int, default=200, help="training images; default 200")
    parser.add_argument("--val", type=int, default=50, help="validation images; default 50")
    parser.add_argument(
        "--size", type=int, default=512, help="side of the square images, pixels; default 512"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed; default 0")
    parser.add_argument("--people", type=int, default=5, help="maximum people per image; default 5")
    parser.add_argument(
        "--points", type=int, default=14, help="maximum points per coarse body part; default 14"
    )
    parser.add_argument(
        "--things",
        type=int,
        default=0,
        help="maximum cars, animals, plants, ... per image; default 0",
    )
    parser.add_argument(
        "--workers", type=int, default=number_of_cores(), help="processes; default: one per core"
    )
    parser.add_argument(
        "--backgrounds",
        metavar="DIR",
        help="folder of background photographs; default: drawn backgrounds",
    )
    parser.add_argument(
        "--printed",
        action="store_true",
        help="print half of the clothes with patches of those photographs",
    )
    parser.add_argument(
        "--facing",
        type=float,
        default=0.5,
        help="share of people turned towards the camera, 0.5 to 1; default 0.5",
    )
    parser.add_argument(
        "--by-hand", action="store_true", help="simulate the errors of human annotators"
    )
    parser.add_argument(
        "--dense", action="store_true", help="also write dense targets (I, U, V), depth and bodies"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..synthetic.dataset import generate
    from ..synthetic.preview import contact_sheet
    from ..synthetic.settings import Settings
    from ..visualization.picture_file import check_output, write_picture

    if not args.out and not args.preview:
        raise ValueError(
            "expected --out DIR for a dataset, --preview PICTURE for a contact sheet, or both"
        )
    if args.out and args.train == 0 and args.val == 0:
        raise ValueError("--train 0 --val 0: expected an image of at least one of them for --out")
    settings = Settings(
        size=args.size,
        seed=args.seed,
        people=args.people,
        points=args.points,
        by_hand=args.by_hand,
        dense=args.dense,
        backgrounds=args.backgrounds,
        things=args.things,
        printed=args.printed,
        facing=args.facing,
    )
    if args.preview:
        check_output(args.preview)
        write_picture(args.preview, contact_sheet(settings)[:, :, ::-1])
        print(args.preview)
    if args.out:
        generate(args.out, settings, {"train": args.train, "val": args.val}, args.workers)
        for split, count in (("train", args.train), ("val", args.val)):
            if count:
                print(f"{counted(count, 'image')}: {Path(args.out) / f'densepose_{split}.json'}")
    return 0
