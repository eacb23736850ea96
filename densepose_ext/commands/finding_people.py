"""Options of commands that need people: found by a model, or given as IUV pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..processes.messages import counted

if TYPE_CHECKING:
    import numpy as np

    from ..prediction.opening import ModelSettings, Predictor
    from ..structures import Person


def add_model_arguments(parser: argparse._ActionsContainer) -> None:
    """Adds the options of the model."""
    parser.add_argument(
        "--model",
        metavar="NAME|CONFIG",
        help="name of a model (see densepose-ext models; official ones are downloaded once) or "
        "config, a YAML file, or an exported model (model.onnx); default: the shipped model",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE|URL",
        help="checkpoint, or official: the one published for a config of this name; default: the "
        "model's own",
    )
    add_inference_arguments(parser, 0.5, "drop people with a lower score; use 0.05 to evaluate AP")
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.0,
        metavar="P",
        help="leave pixels unpainted whose part is less probable than this, such as 0.5; default 0",
    )
    parser.add_argument(
        "--augment",
        action="store_true",
        help="average over the sizes and mirror images of the config's TEST.AUG: better, at least "
        "twice the time",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the network, on a GPU into CUDA graphs: the first picture of each size takes "
        "up to a minute; a CPU gains nothing",
    )


def add_inference_arguments(
    parser: argparse._ActionsContainer, min_score: float, purpose: str
) -> None:
    """Adds --device, --precision and --min-score.

    Args:
        min_score, purpose: default and help of --min-score.
    """
    parser.add_argument("--device", help="cpu, cuda or cuda:N; default: cuda if available")
    parser.add_argument(
        "--precision",
        choices=["fp32", "bf16", "fp16"],
        help="of the network; bf16 is faster on GPUs and on CPUs with AMX; default: the config's",
    )
    parser.add_argument(
        "--min-score",
        type=float,
        default=min_score,
        metavar="S",
        help=f"{purpose}; default %(default)s",
    )


def add_people_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the model, and those for IUV pictures."""
    found = parser.add_argument_group(
        "people found by a model",
        "U and V are interpreted in the charts of the open body, on which the shipped model was "
        "trained. With models trained on other charts, such as the official ones, positions on "
        "the body are approximate.",
    )
    add_model_arguments(found)
    given = parser.add_argument_group("people given as pictures")
    given.add_argument(
        "--iuv",
        nargs="+",
        metavar="FILE",
        help="pictures with I, U * 255, V * 255 in R, G, B, one per input; no model runs",
    )
    given.add_argument(
        "--bgr", action="store_true", help="--iuv has V, U, I in R, G, B, as OpenCV writes I, U, V"
    )
    given.add_argument(
        "--instances",
        nargs="+",
        metavar="FILE",
        help="grey pictures with the person's number in each pixel, one per --iuv; default: each "
        "connected region is a person",
    )


def model_settings(args: argparse.Namespace) -> ModelSettings:
    """The values of the options of :func:`add_model_arguments`."""
    from ..prediction.opening import ModelSettings

    return ModelSettings(
        model=args.model,
        weights=args.weights,
        device=args.device,
        precision=args.precision,
        min_score=args.min_score,
        augment=args.augment or None,
        min_confidence=args.min_confidence,
        compile=args.compile,
    )


def predictor_of(args: argparse.Namespace) -> Predictor:
    """The predictor for the given options."""
    return model_settings(args).predictor()


def read_with_people(
    args: argparse.Namespace, paths: Sequence[str]
) -> Iterator[tuple[np.ndarray, list[Person]]]:
    """Yields pictures (H, W, 3) uint8 BGR and their people, best score (or largest) first.

    Raises:
        OSError: a file cannot be read.
        ValueError: files have the wrong type, size or number.
    """
    from ..files.picture_reader import read_picture

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
                f"--{option} names {counted(len(files), 'file')}; expected {len(paths)}, one for"
                " each picture"
            )
    instances = args.instances or [None] * len(paths)
    for path, iuv, numbers in zip(paths, args.iuv, instances):
        picture = read_picture(path)
        yield picture, _given_people(path, picture.shape[:2], iuv, args.bgr, numbers)


def _given_people(path, size, iuv: str, bgr: bool, instances: str | None) -> list[Person]:
    from ..files.picture_reader import read_picture
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
    """The person with a number, from 1 (None: the first).

    Raises:
        ValueError: there is no such person.
    """
    if not people:
        raise ValueError(f"{path}: no people found")
    number = 1 if number is None else number
    if not 1 <= number <= len(people):
        raise ValueError(f"{path}: no person {number}; there are {len(people)}, counted from 1")
    return people[number - 1]
