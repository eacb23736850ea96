"""``densepose-ext synth``: make pictures of synthetic people with exact dense pose."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..processes.cores import number_of_cores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("--out", help="folder of the data set; an interrupted run goes on there")
    parser.add_argument("--preview", metavar="PICTURE", help="draw a contact sheet into this file")
    parser.add_argument("--train", type=int, default=200, help="images for training")
    parser.add_argument("--val", type=int, default=50, help="images for validation")
    parser.add_argument("--size", type=int, default=512, help="side of the images, pixels")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other images")
    parser.add_argument("--people", type=int, default=5, help="the most people in an image")
    parser.add_argument("--points", type=int, default=14, help="the most points on a body part")
    parser.add_argument(
        "--things", type=int, default=0, help="the most cars, animals, plants, ... in an image"
    )
    parser.add_argument("--workers", type=int, default=number_of_cores(), help="processes")
    parser.add_argument(
        "--backgrounds", metavar="DIR", help="folder of photographs to put behind the people"
    )
    parser.add_argument(
        "--by-hand", action="store_true", help="annotate with the errors that humans make"
    )
    parser.add_argument(
        "--dense", action="store_true", help="also write I, U, V, depth and body parameters"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..synthetic.dataset import generate
    from ..synthetic.preview import contact_sheet
    from ..synthetic.settings import Settings
    from ..visualization.picture_file import write_picture

    if not args.out and not args.preview:
        raise ValueError("say where to: --out DIR for a data set, --preview PICTURE for a sheet")
    settings = Settings(
        size=args.size,
        seed=args.seed,
        people=args.people,
        points=args.points,
        by_hand=args.by_hand,
        dense=args.dense,
        backgrounds=args.backgrounds,
        things=args.things,
    )
    if args.preview:
        write_picture(args.preview, contact_sheet(settings)[:, :, ::-1])
        print(args.preview)
    if args.out:
        generate(args.out, settings, {"train": args.train, "val": args.val}, args.workers)
        for split, count in (("train", args.train), ("val", args.val)):
            if count:
                print(f"{count} images: {Path(args.out) / f'densepose_{split}.json'}")
    return 0
