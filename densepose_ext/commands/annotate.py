"""``densepose-ext annotate``: annotate dense pose in a browser."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("pictures", metavar="PICTURES", help="folder of pictures, at any depth")
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="COCO JSON; work goes on where its log, FILE.log.jsonl, ends",
    )
    parser.add_argument(
        "--people", metavar="FILE", help="COCO JSON with boxes, masks, keypoints or dense pose"
    )
    parser.add_argument("--port", type=int, default=8765, help="default 8765; 0 for any free one")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; default 127.0.0.1, this machine alone; others need the token"
        " in the address that is printed",
    )
    parser.add_argument(
        "--annotators",
        type=int,
        default=1,
        metavar="N",
        help="how many place the points of each person, independently; default 1",
    )
    parser.add_argument(
        "--surface",
        default="open",
        help="the body to click on: open, smpl, or a folder of the official files; default open",
    )
    parser.add_argument(
        "--model", metavar="NAME|CONFIG", help="that proposes boxes and regions; default: shipped"
    )
    parser.add_argument("--weights", metavar="FILE|URL", help="of the model; default: its own")
    parser.add_argument("--no-model", action="store_true", help="no proposals")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    try:
        from ..annotation.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise ModuleNotFoundError(
            f"{error.name} is not installed: pip install 'densepose_ext[web]'"
        ) from None
    from ..annotation.body import get_body
    from ..annotation.pictures import PictureFiles
    from ..annotation.proposals import Proposals, model_is_installed
    from ..annotation.store import Store
    from ..annotation.views import Views

    if args.no_model and (args.model or args.weights):
        raise ValueError("--no-model goes without --model and --weights")
    views = Views(get_body(args.surface))
    store = Store(args.pictures, args.out, views, args.annotators, args.people)
    for fault in store.faults:
        print(f"left out: {fault}", file=sys.stderr)
    proposals = None
    if not args.no_model and (args.model or model_is_installed()):
        proposals = Proposals(PictureFiles(args.pictures), args.model, args.weights)
    people, pictures = len(store.project.people), len(store.project.pictures)
    print(f"{pictures} pictures, {people} people; annotations: {args.out}")
    serve(store, views, proposals, args.host, args.port, _announce)
    return 0


def _announce(address: str) -> None:
    print(f"open {address} in a browser; Ctrl-C ends", flush=True)
