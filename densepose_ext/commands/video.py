"""``densepose-ext video``: finds, tracks and draws people in a video."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ..processes.messages import counted
from .finding_people import add_model_arguments, predictor_of
from .picture_runs import add_person_arguments, size_of
from .predict import PRESET_NAMES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("input", metavar="INPUT", help="a video file, or the number of a camera")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="video to write: .mp4, .mov, .mkv or .avi; replaced if it exists. Sound is kept, "
        "except in .avi",
    )
    parser.add_argument(
        "--draw",
        choices=(
            "parts",
            "u",
            "v",
            "contour",
            "mask",
            "iuv",
            "iuv-bgr",
            "control",
            "control-parula",
        ),
        help="what to draw; iuv: I, U * 255, V * 255 in R, G, B, subject to compression; iuv-bgr: "
        "in B, G, R; control: parts alone, in viridis on violet; control-parula: in parula on "
        "black; default: the preset's, or parts",
    )
    parser.add_argument(
        "--preset", choices=PRESET_NAMES, help="draw as the system of that name expects it"
    )
    add_person_arguments(parser)
    parser.add_argument(
        "--smooth",
        type=float,
        nargs="?",
        const=0.5,
        metavar="W",
        help="smooth I, U and V over time; W is the weight of the past, in [0, 1); default 0.5",
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="stop after this much of the video"
    )
    parser.add_argument("--frames", type=int, metavar="N", help="stop after this many frames")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    for option in ("frames", "seconds"):
        value = getattr(args, option)
        if value is not None and not value > 0:
            raise ValueError(f"--{option} {value}: expected more than 0")
    size = size_of(args.size)

    from ..files.writable_folder import make_writable
    from ..prediction.presets import PRESETS
    from ..video import SurfaceSmoother, VideoReader, VideoWriter
    from ..video.run import draw_video

    preset = PRESETS[args.preset] if args.preset else None
    smoother = None if args.smooth is None else SurfaceSmoother(args.smooth)
    sound = args.input if os.path.exists(args.input) else None  # else it is a camera
    with VideoReader(args.input) as video, VideoWriter(args.out, video.rate, sound) as writer:
        make_writable(args.out.parent)
        predictor = predictor_of(args)
        done = draw_video(
            video,
            writer,
            predictor,
            args.draw or (preset.drawing if preset else "parts"),
            smoother,
            args.frames,
            args.seconds,
            args.person or (preset.person if preset else "all"),
            size,
        )
    if video.problem:
        print(video.problem, file=sys.stderr)
    if writer.silence:
        print(f"{args.out} is silent: {writer.silence}", file=sys.stderr)
    if not done.frames and not done.interrupted:
        raise ValueError(f"{args.input}: no frame could be read")
    frames, people = counted(done.frames, "frame"), counted(done.people, "person")
    print(f"{args.out}: {frames}, {float(video.rate):.4g} a second, {writer.codec}; {people}")
    times = ", ".join(f"{name} {spent:.1f}" for name, spent in done.milliseconds.items())
    print(f"ms a frame: {times}; {done.frames / max(done.seconds, 1e-6):.1f} frames a second")
    if done.interrupted:
        print("interrupted; the video ends there", file=sys.stderr)
        return 130
    return 0
