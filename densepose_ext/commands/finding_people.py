"""Options of commands that need the people of pictures: from a model, or from given I, U and V."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..prediction.predictor import DensePosePredictor
    from ..structures import Person


def add_model_arguments(parser: argparse._ActionsContainer) -> None:
    """Adds the options that say which model finds people, and how."""
    parser.add_argument(
        "--model", metavar="NAME|CONFIG", help="a model or config of the package, or a YAML file"
    )
    parser.add_argument("--weights", metavar="FILE|URL", help="of the model; default: its own")
    parser.add_argument("--device", help="cpu, cuda, cuda:1; default: cuda where there is one")
    parser.add_argument(
        "--precision", choices=["fp32", "bf16", "fp16"], help="default: of the model"
    )
    parser.add_argument(
        "--min-score",
        type=float,
        default=0.5,
        metavar="S",
        help="leave people with a lower score out; default 0.5 (0.05 to score the results)",
    )


def add_people_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    found = parser.add_argument_group(
        "people, found by a model",
        "U and V are taken for those of the open body, which the shipped model was trained on. "
        "With other charts, as official models have, places on the body are approximate.",
    )
    add_model_arguments(found)
    given = parser.add_argument_group("people, given")
    given.add_argument(
        "--iuv",
        nargs="+",
        metavar="FILE",
        help="pictures of I, U * 255, V * 255 in R, G, B, one for each picture; no model is used",
    )
    given.add_argument(
        "--bgr", action="store_true", help="the channels of --iuv are V, U, I: OpenCV wrote them"
    )
    given.add_argument(
        "--instances",
        nargs="+",
        metavar="FILE",
        help="grey pictures with the number of the person at each pixel, one for each of --iuv; "
        "default: connected regions are people",
    )


def predictor_of(args: argparse.Namespace) -> DensePosePredictor:
    """The model of the options."""
    from ..prediction.predictor import DensePosePredictor

    return DensePosePredictor(args.model, args.weights, args.device, args.precision, args.min_score)


def read_with_people(
    args: argparse.Namespace, paths: Sequence[str]
) -> Iterator[tuple[np.ndarray, list[Person]]]:
    """Yields pictures (H, W, 3) uint8 BGR, and their people, the best score (or largest) first.

    Raises:
        OSError: for a file that cannot be read.
        ValueError: for files that are of another kind, size or number.
    """
    from ..prediction.pictures import read_picture

    if args.iuv is None:
        for option in ("bgr", "instances"):
            if getattr(args, option):
                raise ValueError(f"--{option} goes with --iuv")
        predictor = predictor_of(args)
        for path in paths:
            picture = read_picture(path)
            yield picture, predictor(picture)
        return
    for option in ("iuv", "instances"):
        files = getattr(args, option)
        if files is not None and len(files) != len(paths):
            raise ValueError(
                f"--{option} names {len(files)} files; expected {len(paths)}, one for each picture"
            )
    instances = args.instances or [None] * len(paths)
    for path, iuv, numbers in zip(paths, args.iuv, instances):
        picture = read_picture(path)
        yield picture, _given_people(path, picture.shape[:2], iuv, args.bgr, numbers)


def _given_people(path, size, iuv: str, bgr: bool, instances: str | None) -> list[Person]:
    from ..prediction.pictures import read_picture
    from ..texture.iuv_picture import people_of_iuv, read_instances

    values = read_picture(iuv)
    if values.shape[:2] != size:
        raise ValueError(
            f"{iuv} has {values.shape[1]} x {values.shape[0]} pixels; expected {size[1]} x "
            f"{size[0]}, as {path} has"
        )
    numbers = None if instances is None else read_instances(instances)
    try:
        return people_of_iuv(values if bgr else values[:, :, ::-1], numbers)
    except ValueError as error:
        raise ValueError(f"{iuv}: {error}") from None


def choose(people: Sequence[Person], number: int | None, path: str) -> Person:
    """The person of a number, from 1; None is the first one.

    Raises:
        ValueError: there is none.
    """
    if not people:
        raise ValueError(f"{path}: no people found")
    number = 1 if number is None else number
    if not 1 <= number <= len(people):
        raise ValueError(f"{path}: no person {number}; there are {len(people)}, counted from 1")
    return people[number - 1]
