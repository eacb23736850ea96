"""``densepose-ext annotate``: annotate dense pose in a browser."""

from __future__ import annotations

import argparse
import sys

from ..processes.messages import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "pictures", metavar="PICTURES", help="folder of pictures, searched recursively"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="COCO JSON to write; an existing project resumes from its log, FILE.log.jsonl",
    )
    parser.add_argument(
        "--people",
        metavar="FILE",
        help="people to import: COCO JSON with boxes, masks, keypoints or dense pose",
    )
    parser.add_argument("--port", type=int, default=8765, help="default 8765; 0: any free port")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; default 127.0.0.1, for this machine only; with others, browsers"
        " need the token in the printed URL",
    )
    parser.add_argument(
        "--annotators",
        type=int,
        default=1,
        metavar="N",
        help="number of people who place the points of each person independently; default 1",
    )
    parser.add_argument(
        "--surface",
        default="open",
        help="body to click on: open, smpl, or a folder of official files; default open",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|CONFIG",
        help="model that proposes boxes and regions; default: the shipped one",
    )
    parser.add_argument(
        "--weights", metavar="FILE|URL", help="checkpoint; default: the model's own"
    )
    parser.add_argument("--no-model", action="store_true", help="work without proposals")


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
        raise ValueError("--no-model cannot be combined with --model or --weights")
    views = Views(get_body(args.surface))
    store = Store(args.pictures, args.out, views, args.annotators, args.people)
    for fault in store.faults:
        print(f"left out: {fault}", file=sys.stderr)
    proposals = None
    if not args.no_model and (args.model or model_is_installed()):
        proposals = Proposals(PictureFiles(args.pictures), args.model, args.weights)
    people = counted(len(store.project.people), "person")
    pictures = counted(len(store.project.pictures), "picture")
    print(f"{pictures}, {people}; annotations: {args.out}")
    serve(store, views, proposals, args.host, args.port, _announce)
    return 0


def _announce(address: str) -> None:
    print(f"open {address} in a browser; Ctrl-C stops", flush=True)
