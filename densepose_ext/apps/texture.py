"""``densepose-ext texture``: paints an atlas onto people, gathers one, dresses people in others."""

from __future__ import annotations

import argparse

from .finding_people import add_people_arguments, choose, read_with_people


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    apply = actions.add_parser("apply", help="paint an atlas onto the people of a picture")
    apply.add_argument("picture", metavar="PICTURE")
    apply.add_argument(
        "--texture", required=True, metavar="ATLAS", help="6 rows and 4 columns of square tiles"
    )
    apply.add_argument("--out", required=True, metavar="FILE", help="the painted picture")
    apply.add_argument(
        "--person", type=int, metavar="N", help="paint this one only, 1 is the best; default: all"
    )
    apply.add_argument(
        "--shading", type=float, default=0.0, metavar="S", help="light that is kept, 0 to 1"
    )
    apply.add_argument("--opacity", type=float, default=1.0, metavar="O", help="default 1")
    apply.add_argument(
        "--fill-black",
        action="store_true",
        help="black in the atlas is no colour: fill it (published atlases are black beside the "
        "charts)",
    )

    extract = actions.add_parser("extract", help="gather an atlas from pictures of a person")
    extract.add_argument("pictures", nargs="+", metavar="PICTURE")
    extract.add_argument("--out", required=True, metavar="ATLAS", help="picture file of the atlas")
    extract.add_argument(
        "--person", type=int, metavar="N", help="of each picture, 1 (default) is the best"
    )
    extract.add_argument("--tile", type=int, default=200, help="side of a tile; default 200")
    extract.add_argument(
        "--symmetric", action="store_true", help="fill what is not seen from the other side first"
    )
    extract.add_argument(
        "--as-seen", action="store_true", help="leave what is not seen transparent"
    )
    extract.add_argument(
        "--flatten", action="store_true", help="take out the light that falls on the person"
    )
    extract.add_argument(
        "--coverage",
        metavar="FILE",
        help="write how well each texel is seen: white from one pixel a texel",
    )

    transfer = actions.add_parser("transfer", help="dress people in what another person looks like")
    transfer.add_argument("source", metavar="A", help="picture of the person to take from")
    transfer.add_argument("target", metavar="B", help="picture of the people to dress")
    transfer.add_argument("--out", required=True, metavar="FILE", help="B, painted")
    transfer.add_argument(
        "--person", type=int, metavar="N", help="person of A, 1 (default) is the best"
    )
    transfer.add_argument(
        "--onto", type=int, metavar="N", help="dress this person of B only; default: all"
    )
    transfer.add_argument(
        "--shading", type=float, default=1.0, metavar="S", help="light of B kept, 0 to 1; default 1"
    )
    for action in (apply, extract, transfer):
        add_people_arguments(action)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    {"apply": _apply, "extract": _extract, "transfer": _transfer}[args.action](args)
    return 0


def _apply(args: argparse.Namespace) -> None:
    from ..texture import Atlas, apply_texture, fill_black
    from ..visualization.picture_file import write_picture

    atlas = Atlas.read(args.texture)
    if args.fill_black:
        atlas = fill_black(atlas)
    [(picture, people)] = read_with_people(args, [args.picture])
    if args.person is not None:
        people = [choose(people, args.person, args.picture)]
    write_picture(args.out, apply_texture(picture, people, atlas, args.shading, args.opacity))
    print(f"{len(people)} people painted: {args.out}")


def _extract(args: argparse.Namespace) -> None:
    import numpy as np

    from ..texture import TextureExtractor, fill_atlas
    from ..visualization.picture_file import write_picture

    if args.symmetric and args.as_seen:
        raise ValueError("--symmetric fills, --as-seen does not: choose one")
    extractor = TextureExtractor(args.tile, args.flatten)
    for path, (picture, people) in zip(args.pictures, read_with_people(args, args.pictures)):
        extractor.add(picture, choose(people, args.person, path))
    extraction = extractor.extract()
    atlas = extraction.atlas if args.as_seen else fill_atlas(extraction, args.symmetric)
    atlas.write(args.out)
    if args.coverage:
        grey = np.sqrt(np.clip(extraction.weight, 0, 1)) * 255
        write_picture(args.coverage, np.rint(grey).astype(np.uint8))
    print(f"{extraction.share:.0%} of the surface seen: {args.out}")


def _transfer(args: argparse.Namespace) -> None:
    from ..texture import transfer_texture
    from ..visualization.picture_file import write_picture

    (source, from_people), (target, people) = read_with_people(args, [args.source, args.target])
    person = choose(from_people, args.person, args.source)
    if args.onto is not None:
        people = [choose(people, args.onto, args.target)]
    write_picture(args.out, transfer_texture(source, person, target, people, args.shading))
    print(f"{len(people)} people dressed: {args.out}")
