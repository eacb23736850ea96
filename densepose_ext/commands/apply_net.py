"""``densepose-ext apply_net``: the official project's ``apply_net.py``, with its arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..processes.messages import counted
from .name_lists import names_in

if TYPE_CHECKING:
    import numpy as np

    from ..prediction.people import People


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="draw the people in pictures")
    dump = actions.add_parser("dump", help="write the people in pictures to one file")
    for action in (show, dump):
        action.add_argument("cfg", metavar="CONFIG", help="YAML file, or the name of a config")
        action.add_argument(
            "model",
            metavar="MODEL",
            help="path or URL of a checkpoint, or official: the one published for the config",
        )
        action.add_argument("input", metavar="INPUT", help="picture, folder or quoted pattern")
    show.add_argument(
        "visualizations",
        metavar="V,V,...",
        help="dp_segm, dp_u, dp_v, dp_contour, dp_iuv_texture, dp_cse_vertex, bbox",
    )
    show.add_argument(
        "--output",
        type=Path,
        default=Path("outputres.png"),
        metavar="FILE",
        help="pictures to write: FILE.png becomes FILE.0001.png, FILE.0002.png, ...",
    )
    show.add_argument("--min_score", type=float, default=0.8, metavar="S", help="default 0.8")
    show.add_argument(
        "--nms_thresh", type=float, metavar="T", help="IoU threshold of non-maximum suppression"
    )
    show.add_argument("--texture_atlas", metavar="FILE", help="texture atlas for dp_iuv_texture")
    dump.add_argument(
        "--output",
        type=Path,
        default=Path("results.pkl"),
        metavar="FILE",
        help="file to write, for torch.load; default results.pkl",
    )
    dump.add_argument(
        "--official-pickle",
        action="store_true",
        help="write objects of the official project's classes, which only it can read",
    )
    for action in (show, dump):
        action.add_argument("-v", "--verbosity", action="count", help="print the pictures' names")
        action.add_argument(
            "--opts",
            nargs=argparse.REMAINDER,
            default=[],
            metavar="KEY VALUE",
            help="change the config",
        )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    return {"show": _show, "dump": _dump}[args.action](args)


def _show(args: argparse.Namespace) -> int:
    from ..prediction.official_drawings import check_names, draw_as_official
    from ..texture import Atlas
    from ..visualization.picture_file import check_output, write_picture

    if not 0 <= args.min_score <= 1:
        raise ValueError(f"--min_score {args.min_score}: expected 0 to 1")
    if args.nms_thresh is not None and not 0 <= args.nms_thresh <= 1:
        raise ValueError(f"--nms_thresh {args.nms_thresh}: expected 0 to 1")
    names = names_in(args.visualizations, "visualizations")
    atlas = Atlas.read(args.texture_atlas) if args.texture_atlas else None
    check_names(names, atlas)
    check_output(args.output)
    opts = ["MODEL.ROI_HEADS.SCORE_THRESH_TEST", str(args.min_score)]
    if args.nms_thresh is not None:
        opts += ["MODEL.ROI_HEADS.NMS_THRESH_TEST", str(args.nms_thresh)]
    for number, (_, picture, people) in enumerate(_people(args, opts), start=1):
        path = args.output.with_name(f"{args.output.stem}.{number:04d}{args.output.suffix}")
        write_picture(path, draw_as_official(picture, people, names, atlas))
        print(path)
    return 0


def _dump(args: argparse.Namespace) -> int:
    from ..prediction.dump import dump_entry, write_dump

    entries = (dump_entry(path, people) for path, _, people in _people(args, []))
    count = write_dump(args.output, entries, args.official_pickle)
    print(f"{args.output}: {counted(count, 'picture')}")
    return 0


def _people(args: argparse.Namespace, opts: list[str]) -> Iterator[tuple[str, np.ndarray, People]]:
    """Yields path, picture and people of each picture; reports those that cannot be read.

    Raises:
        ValueError: no picture can be read, or config or model cannot be used.
    """
    from ..config import load_config
    from ..files.picture_reader import read_picture
    from ..prediction.inputs import find_pictures
    from ..prediction.model_files import config_file
    from ..prediction.predictor import DensePosePredictor

    sources = find_pictures([args.input])
    if not len(sources):
        raise ValueError(f"no pictures in {args.input}")
    overrides = [*opts, *args.opts, "MODEL.WEIGHTS", args.model]
    cfg = load_config(config_file(args.cfg)[0], overrides)
    device = cfg.MODEL.DEVICE if "MODEL.DEVICE" in args.opts else None
    predictor = DensePosePredictor(cfg, device=device)
    found = False
    for source in sources.pictures:
        try:
            picture = read_picture(source.path)
        except (OSError, ValueError) as error:
            print(f"unreadable: {source.path}: {error}", file=sys.stderr)
            continue
        people = predictor(picture)
        found = True
        if args.verbosity:
            print(f"{source.path}: {counted(len(people), 'person')}", file=sys.stderr)
        yield source.path, picture, people
    if not found:
        raise ValueError("no picture could be read")
