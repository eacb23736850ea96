"""``densepose-ext serve``: a local page and API that find people in pictures and videos."""

from __future__ import annotations

import argparse
import os

from .finding_people import add_inference_arguments

#: Environment variable for a token that stays the same when the server restarts.
TOKEN = "DENSEPOSE_EXT_TOKEN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME|CONFIG",
        help="model to offer besides the shipped ones: a name (see densepose-ext models), a config"
        " or an exported model (model.onnx); may be repeated, the default first",
    )
    add_inference_arguments(parser, 0.2, "minimum score that requests may ask for")
    parser.add_argument("--port", type=int, default=8000, help="default 8000; 0: any free port")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; default 127.0.0.1, for this machine only; with others, requests"
        f" need the token in the printed URL, which {TOKEN} can set",
    )
    limits = parser.add_argument_group("limits of requests")
    limits.add_argument(
        "--max-megabytes",
        type=float,
        default=32,
        metavar="N",
        help="size of a picture file; default 32",
    )
    limits.add_argument(
        "--max-megapixels",
        type=float,
        default=50,
        metavar="N",
        help="size of a picture; default 50",
    )
    limits.add_argument(
        "--max-requests", type=int, default=16, metavar="N", help="requests in progress; default 16"
    )
    limits.add_argument(
        "--max-seconds",
        type=float,
        default=60,
        metavar="N",
        help="time for an upload, and for the result of a picture; default 60",
    )
    limits.add_argument(
        "--max-film-megabytes",
        type=float,
        default=100,
        metavar="N",
        help="size of a video file; default 100",
    )
    limits.add_argument(
        "--max-film-frames",
        type=int,
        default=3000,
        metavar="N",
        help="frames of a video; default 3000",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    try:
        from ..serving.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "anyio"):
            raise
        raise ModuleNotFoundError(
            f"{error.name} is not installed: pip install 'densepose_ext[web]'"
        ) from None
    from ..serving.limits import Limits
    from ..serving.models import Models

    limits = Limits(
        args.max_megabytes,
        args.max_megapixels,
        args.max_requests,
        args.max_seconds,
        args.max_film_megabytes,
        args.max_film_frames,
    )
    models = Models(args.model, args.min_score, args.device, args.precision)
    serve(models, limits, args.host, args.port, os.environ.get(TOKEN) or None, _announce)
    return 0


def _announce(address: str) -> None:
    print(
        f"open {address} in a browser, or POST pictures to /predict, videos to /video; Ctrl-C"
        " stops",
        flush=True,
    )
