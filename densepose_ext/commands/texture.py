"""``densepose-ext texture``: applies, extracts and transfers texture atlases."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..processes.messages import counted
from .finding_people import add_people_arguments, choose, predictor_of, read_with_people

if TYPE_CHECKING:
    from ..prediction.opening import Predictor
    from ..texture import TextureExtractor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for add_action in (_add_apply, _add_extract, _add_transfer):
        add_people_arguments(add_action(actions))


def _add_apply(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    apply = actions.add_parser("apply", help="apply an atlas to the people of a picture")
    apply.add_argument("picture", metavar="PICTURE")
    apply.add_argument(
        "--texture",
        required=True,
        metavar="ATLAS",
        help="atlas: 6 rows and 4 columns of square tiles",
    )
    apply.add_argument("--out", required=True, metavar="FILE", help="picture to write")
    apply.add_argument(
        "--person", type=int, metavar="N", help="only this person, 1 is the best; default: all"
    )
    apply.add_argument(
        "--shading",
        type=float,
        default=0.0,
        metavar="S",
        help="how much of the shading to keep, 0 (default) to 1",
    )
    apply.add_argument("--opacity", type=float, default=1.0, metavar="O", help="default 1")
    apply.add_argument(
        "--fill-black",
        action="store_true",
        help="treat black in the atlas as missing, and fill it in; published atlases are black "
        "outside the charts",
    )
    return apply


def _add_extract(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    extract = actions.add_parser(
        "extract", help="extract an atlas from pictures and videos of a person"
    )
    extract.add_argument("inputs", nargs="+", metavar="PICTURE|VIDEO")
    extract.add_argument("--out", required=True, metavar="ATLAS", help="atlas to write")
    extract.add_argument(
        "--person",
        type=int,
        metavar="N",
        help="which person, by score, in each picture and in the first frame of a video that shows "
        "as many; default 1, the best",
    )
    extract.add_argument(
        "--every",
        type=int,
        default=5,
        metavar="K",
        help="take every Kth frame of a video; default 5",
    )
    extract.add_argument("--tile", type=int, default=200, help="tile size, pixels; default 200")
    extract.add_argument(
        "--symmetric",
        action="store_true",
        help="fill unseen parts from the other side of the body first",
    )
    extract.add_argument("--as-seen", action="store_true", help="leave unseen parts transparent")
    extract.add_argument("--flatten", action="store_true", help="remove the shading")
    extract.add_argument(
        "--coverage",
        metavar="FILE",
        help="also write how well each texel is seen; white: one pixel per texel or more",
    )
    return extract


def _add_transfer(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    transfer = actions.add_parser("transfer", help="dress people in the texture of another person")
    transfer.add_argument("source", metavar="A", help="picture of the source person")
    transfer.add_argument("target", metavar="B", help="picture of the people to dress")
    transfer.add_argument("--out", required=True, metavar="FILE", help="picture to write")
    transfer.add_argument(
        "--person", type=int, metavar="N", help="person of A, by score; default 1, the best"
    )
    transfer.add_argument(
        "--onto", type=int, metavar="N", help="dress only this person of B; default: all"
    )
    transfer.add_argument(
        "--shading",
        type=float,
        default=1.0,
        metavar="S",
        help="how much of the shading of B to keep, 0 to 1 (default)",
    )
    return transfer


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    {"apply": _apply, "extract": _extract, "transfer": _transfer}[args.action](args)
    return 0


def _apply(args: argparse.Namespace) -> None:
    from ..texture import Atlas, apply_texture, fill_black
    from ..visualization.picture_file import check_output, write_picture

    check_output(args.out)
    atlas = Atlas.read(args.texture)
    if args.fill_black:
        atlas = fill_black(atlas)
    [(picture, people)] = read_with_people(args, [args.picture])
    if args.person is not None:
        people = [choose(people, args.person, args.picture)]
    write_picture(args.out, apply_texture(picture, people, atlas, args.shading, args.opacity))
    print(f"{counted(len(people), 'person')} painted: {args.out}")


def _extract(args: argparse.Namespace) -> None:
    import numpy as np

    from ..files.media import is_video
    from ..texture import TextureExtractor, fill_atlas
    from ..visualization.picture_file import check_output, write_picture

    if args.symmetric and args.as_seen:
        raise ValueError("--symmetric and --as-seen exclude each other")
    if args.every < 1:
        raise ValueError(f"--every {args.every}: expected 1 or more")
    for path in filter(None, (args.out, args.coverage)):
        check_output(path)
    videos = [path for path in args.inputs if is_video(path)]
    pictures = [path for path in args.inputs if path not in videos]
    if videos and args.iuv is not None:
        raise ValueError(f"--iuv goes with pictures; {videos[0]} is a video")
    extractor = TextureExtractor(args.tile, args.flatten)
    left_out = []
    for path, (picture, people) in zip(pictures, read_with_people(args, pictures)):
        try:
            extractor.add(picture, choose(people, args.person, path))
        except ValueError as error:
            left_out.append(str(error))
    predictor = predictor_of(args) if videos else None
    for path in videos:
        if not _add_video(extractor, path, predictor, args):
            left_out.append(f"{path}: no frame with {counted(args.person or 1, 'person')}")
    if len(left_out) == len(args.inputs):
        raise ValueError("; ".join(left_out))
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    extraction = extractor.extract()
    atlas = extraction.atlas if args.as_seen else fill_atlas(extraction, args.symmetric)
    atlas.write(args.out)
    if args.coverage:
        grey = np.sqrt(np.clip(extraction.weight, 0, 1)) * 255
        write_picture(args.coverage, np.rint(grey).astype(np.uint8))
    print(f"{extraction.share:.0%} of the surface seen: {args.out}")


def _add_video(
    extractor: TextureExtractor, path: str, predictor: Predictor, args: argparse.Namespace
) -> int:
    """Adds the frames of a video that show the person; returns their number.

    Ctrl-C ends the video early.
    """
    from tqdm import tqdm

    from ..video import VideoReader
    from ..video.following import follow_person

    seen = 0
    number = 1 if args.person is None else args.person
    with VideoReader(path) as video:
        frames = tqdm(video, "looking", video.count, unit="frame", disable=None)
        try:
            for picture, person in follow_person(frames, predictor, number, args.every):
                extractor.add(picture, person)
                seen += 1
        except KeyboardInterrupt:
            print(f"\n{path}: stopped; using the frames until here", file=sys.stderr)
    if video.problem:
        print(video.problem, file=sys.stderr)
    print(f"{path}: person {number} seen in {counted(seen, 'frame')}")
    return seen


def _transfer(args: argparse.Namespace) -> None:
    from ..texture import transfer_texture
    from ..visualization.picture_file import check_output, write_picture

    check_output(args.out)
    (source, from_people), (target, people) = read_with_people(args, [args.source, args.target])
    person = choose(from_people, args.person, args.source)
    if args.onto is not None:
        people = [choose(people, args.onto, args.target)]
    write_picture(args.out, transfer_texture(source, person, target, people, args.shading))
    print(f"{counted(len(people), 'person')} dressed: {args.out}")
