"""``densepose-ext study``: train and test models side by side, and write a page about them."""

from __future__ import annotations

import argparse
from pathlib import Path

from .name_lists import names_in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("name", help="ablation, supervision, embeddings, robustness or annotation")
    parser.add_argument(
        "--budget", default="cpu", help="size of the runs: quick, cpu or gpu; default %(default)s"
    )
    parser.add_argument(
        "--seeds", type=int, default=1, help="number of trainings per run; default 1"
    )
    parser.add_argument("--runs", default="", metavar="NAME,NAME", help="execute only these runs")
    parser.add_argument(
        "--out",
        default="output/studies",
        help="output folder, where an interrupted study resumes; default %(default)s",
    )
    parser.add_argument("--model", help="robustness: name or YAML file; default: the shipped model")
    parser.add_argument("--weights", help="robustness: checkpoint of the model")
    parser.add_argument(
        "--set",
        nargs=2,
        action="append",
        default=[],
        metavar=("KEY", "VALUE"),
        help="change the config of all trainings; may be given several times",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..study.page import TABLE
    from ..study.run import run_study

    page = run_study(
        args.name,
        args.budget,
        Path(args.out),
        args.seeds,
        list(names_in(args.runs, "--runs")) if args.runs else [],
        args.model,
        args.weights,
        [word for pair in args.set for word in pair],
    )
    print((page.parent / TABLE).read_text(encoding="utf-8"))
    print(page.resolve())
    return 0
