"""Options and report of commands for resumable runs over pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..processes.messages import counted
from .finding_people import add_model_arguments, model_settings

if TYPE_CHECKING:
    from ..prediction.writers import Options


#: Pixels of an output, whose maps take several times as many bytes.
_LARGEST = 1 << 28


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for pictures, people, model and processes."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="pictures, folders (searched recursively) or quoted patterns; - reads them from "
        "standard input, one per line",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="output folder, where an interrupted run resumes",
    )
    add_person_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument("--batch", type=int, default=1, help="batch size; default 1")
    parser.add_argument(
        "--workers", type=int, default=2, help="number of reader and of writer threads; default 2"
    )
    parser.add_argument(
        "--num-gpus",
        type=int,
        default=1,
        metavar="N",
        help="number of GPUs with one process each; on the CPU, number of processes",
    )
    parser.add_argument(
        "--num-machines",
        type=int,
        default=1,
        metavar="N",
        help="number of machines that share the pictures and --out",
    )
    parser.add_argument(
        "--machine-rank", type=int, default=0, metavar="K", help="rank of this machine, from 0"
    )
    parser.add_argument(
        "--dist-url", default="auto", metavar="URL", help="tcp://HOST:PORT of the first machine"
    )
    parser.add_argument(
        "--image-ids",
        type=Path,
        metavar="COCO.json",
        help="for json: take image ids from this file; default: number the pictures",
    )


def add_person_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for selecting people, and for the size of the output."""
    parser.add_argument(
        "--person",
        choices=("all", "largest", "centre"),
        help="people to keep: all, the largest, or the one nearest to the centre; default: the "
        "preset's, or all",
    )
    parser.add_argument(
        "--size",
        metavar="WxH",
        help="size of the output, such as 768x1024; default: the input's; labels are resized "
        "without interpolation",
    )


def size_of(text: str | None) -> tuple[int, int] | None:
    """Parses WxH to (height, width).

    Raises:
        ValueError: the text has another form.
    """
    if text is None:
        return None
    width, by, height = text.lower().partition("x")
    if not (by and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"--size {text}: expected WxH in pixels, such as 768x1024")
    if int(width) * int(height) > _LARGEST:
        raise ValueError(f"--size {text}: expected {_LARGEST:,} pixels or fewer")
    return int(height), int(width)


def run_over_pictures(args: argparse.Namespace, formats: tuple[str, ...], options: Options) -> int:
    """Runs the model over the pictures, writes the formats and reports; returns the exit status."""
    from ..files.media import is_video
    from ..prediction.inputs import find_pictures
    from ..prediction.run import Run, read_image_ids, run_over

    if args.image_ids and "json" not in formats:
        raise ValueError("--image-ids goes with --format json")
    videos = [path for path in args.inputs if is_video(path)]
    if len(videos) == len(args.inputs):
        raise ValueError(f"{videos[0]} is a video: densepose-ext video {videos[0]} --out FILE.mp4")
    pictures = [path for path in args.inputs if path not in videos]
    sources = find_pictures(pictures, sys.stdin, without=args.out)
    sources.skipped += len(videos)
    for path in videos:
        print(f"skipped: {path} is a video, for densepose-ext video", file=sys.stderr)
    if not len(sources):
        others = counted(sources.skipped, "other file")
        raise ValueError(f"no pictures in {', '.join(args.inputs)} ({others})")
    image_ids = read_image_ids(args.image_ids, sources.pictures) if args.image_ids else None
    job = Run(
        folder=args.out,
        formats=formats,
        model=model_settings(args),
        options=options,
        batch=args.batch,
        workers=args.workers,
        processes=args.num_gpus,
        machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
    )
    try:
        summary = run_over(sources.pictures, job, image_ids)
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command to resume", file=sys.stderr)
        return 130
    if summary is None:
        return 0
    for path, reason in summary.unreadable:
        print(f"unreadable: {path}: {reason}", file=sys.stderr)
    pictures = counted(summary.pictures, "picture")
    counts = [f"{counted(summary.people, 'person')} in {pictures}"]
    counts += [f"{counted(summary.already, 'picture')} done before"] if summary.already else []
    counts += [f"{len(summary.unreadable)} unreadable"] if summary.unreadable else []
    counts += [f"{counted(sources.skipped, 'other file')} skipped"] if sources.skipped else []
    print(f"{args.out}: {', '.join(counts)}")
    if not summary.pictures and not summary.already:
        raise ValueError("no picture could be read")
    return 0
