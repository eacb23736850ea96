"""``densepose-ext mesh``: exports a person as a point cloud and a textured mesh."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..processes.messages import counted
from .finding_people import add_people_arguments, choose, read_with_people


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("picture", metavar="PICTURE")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for points.ply, body.obj with body.mtl and body.png, and template.png",
    )
    parser.add_argument(
        "--person", type=int, metavar="N", help="which person, by score; default 1, the best"
    )
    parser.add_argument(
        "--texture",
        metavar="ATLAS",
        help="default: extracted from the picture, with unseen parts filled in",
    )
    parser.add_argument(
        "--fill-black",
        action="store_true",
        help="treat black in --texture as missing, and fill it in",
    )
    parser.add_argument(
        "--tile",
        type=int,
        default=200,
        help="tile size of the extracted atlas, pixels; default 200",
    )
    add_people_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..files.writable_folder import make_writable
    from ..texture import Atlas, TextureExtractor, fill_atlas, fill_black, fill_transparent
    from ..texture.mesh_files import write_obj, write_ply
    from ..texture.rest_pose_view import draw_template
    from ..texture.seen_points import seen_points
    from ..visualization.picture_file import write_picture

    if args.fill_black and not args.texture:
        raise ValueError("--fill-black goes with --texture")
    atlas = Atlas.read(args.texture) if args.texture else None
    if atlas is not None:
        atlas = fill_black(atlas) if args.fill_black else fill_transparent(atlas)
    extractor = TextureExtractor(args.tile)
    make_writable(args.out)
    [(picture, people)] = read_with_people(args, [args.picture])
    person = choose(people, args.person, args.picture)
    extractor.add(picture, person)
    extraction = extractor.extract()
    if atlas is None:
        atlas = fill_atlas(extraction)
    places, colours = seen_points(picture, person)
    write_ply(args.out / "points.ply", places, colours)
    write_obj(args.out / "body.obj", atlas)
    write_picture(args.out / "template.png", draw_template(extraction.atlas))
    points = counted(len(places), "point")
    print(f"{points}, {extraction.share:.0%} of the surface seen: {args.out}")
    return 0
