"""``densepose-ext evaluate``: evaluates a results file, from any system."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..processes.messages import counted

if TYPE_CHECKING:
    from ..data.annotation_file import AnnotationFile
    from ..evaluation.gallery import Gallery
    from ..evaluation.gps import Kappa
    from ..evaluation.people import GroundTruth
    from ..evaluation.results import Results
    from ..evaluation.scorecard import Scorecard
    from ..surface.registry import Surface


def _kappa(text: str) -> Kappa:
    if text == "per-part":
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 'per-part' or a length in metres")
    return value


def _ids(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of image ids such as 1,2,3"
        ) from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "--annotations", type=Path, help="COCO JSON file with dp_* keys", metavar="GT.json"
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="detections in the official results format, or coco_densepose_predictions.pth of the "
        "official project; detections with vertices (of a CSE model) are scored on the meshes that "
        "annotations name",
    )
    parser.add_argument(
        "--surface",
        metavar="NAME|DIR",
        help="body the annotations refer to: open, smpl (from Detectron2's download cache), or a "
        "folder with the official files; not for detections with vertices",
    )
    parser.add_argument(
        "--no-gps",
        action="store_true",
        help="evaluate parts and masks only, which needs no surface",
    )
    parser.add_argument(
        "--kappa",
        type=_kappa,
        default="per-part",
        metavar="per-part|METRES",
        help="kappa of GPS: per-part (default), or one length for all parts; 0.255 in the paper",
    )
    parser.add_argument(
        "--min-threshold",
        type=float,
        default=0.5,
        metavar="T",
        help="lowest threshold: 0.4, 0.3 and 0.2 add AP40, AP30 and AP20; default 0.5",
    )
    parser.add_argument(
        "--image-ids", type=_ids, metavar="ID,ID,...", help="evaluate these images only"
    )
    parser.add_argument(
        "--ceiling",
        action="store_true",
        help="evaluate the annotations themselves, quantised as in a results file: the upper bound "
        "of any results",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="folder of the images, for the pictures in the report",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for metrics.json and report.html"
    )
    parser.add_argument(
        "--save-results",
        type=Path,
        metavar="FILE.json",
        help="convert --results to the official format; without --annotations, do only that",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    from ..data.annotation_file import read_annotations
    from ..evaluation.publish import METRICS_FILE, REPORT_FILE, publish
    from ..surface.registry import get_surface

    _check(args)
    surface = None if args.surface is None else get_surface(args.surface)
    if args.save_results is not None:
        _save_results(args)
        if args.annotations is None:
            return 0
    annotations = read_annotations(args.annotations, args.images or "")
    results = None if args.ceiling else _results(args.results)
    card = _scorecard(args, annotations, surface, results)
    gallery = _score(args, card, results)
    facts = {
        "dataset": args.annotations.name,
        "results": "ceiling" if results is None else args.results.name,
        "surface": None if surface is None else surface.name,
        "kappa": args.kappa if card.has_gps else None,
    }
    _, written = publish(card, gallery, facts, lambda table: print(table, end="\n\n"), args.out)
    for name in (METRICS_FILE, REPORT_FILE) if args.out is not None else ():
        if args.out / name not in written:
            raise OSError(f"{args.out / name} was not written, for the reason above")
        print(f"Wrote {args.out / name}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Checks the options, as far as that takes no large file."""
    from ..evaluation.matching import scored_thresholds
    from ..files.writable_folder import make_writable

    for name in ("annotations", "results"):
        path = getattr(args, name)
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"--{name}: there is no file {path}")
    if args.images is not None and not args.images.is_dir():
        raise NotADirectoryError(f"--images {args.images}: there is no such folder")
    if args.save_results is not None and args.results is None:
        raise ValueError("--save-results needs --results")
    if args.annotations is None and args.save_results is None:
        raise ValueError("--annotations is needed")
    if args.save_results is None and (args.results is None) == (not args.ceiling):
        raise ValueError("one of --results and --ceiling is needed")
    if args.surface is not None and args.no_gps:
        raise ValueError("one of --surface and --no-gps is needed, not both")
    scored_thresholds(args.min_threshold)
    for folder in (args.out, args.save_results and args.save_results.parent):
        if folder is not None:
            make_writable(folder)


def _scorecard(
    args: argparse.Namespace,
    annotations: AnnotationFile,
    surface: Surface | None,
    results: Results | None,
) -> Scorecard:
    """The scorecard of the annotations, without scores."""
    from ..evaluation.people import GroundTruth
    from ..evaluation.scorecard import Scorecard
    from ..evaluation.vertex_scoring import VertexScorer

    by_vertices = results is not None and results.by_vertices
    if by_vertices and surface is not None:
        raise ValueError(
            f"--surface is for charts: {args.results} has vertices of the meshes it names"
        )
    if surface is None and not by_vertices and not args.no_gps:
        raise ValueError("one of --surface and --no-gps is needed, neither is given")
    truth = GroundTruth(annotations, args.image_ids, by_vertices)
    if results is not None:
        _check_images(results, truth)
    scorer = VertexScorer(not args.no_gps, args.kappa) if by_vertices else None
    return Scorecard(truth, surface, args.kappa, args.min_threshold, scorer)


def _score(args: argparse.Namespace, card: Scorecard, results: Results | None) -> Gallery:
    """Scores the results, or else the annotations themselves; returns people for the report."""
    from tqdm import tqdm

    from ..evaluation.ceiling import truth_as_detections
    from ..evaluation.gallery import Gallery
    from ..evaluation.publish import scores_survive

    truth, gallery = card.truth, Gallery()
    for image in tqdm(truth.images.values(), desc="scoring", unit="image", disable=None):
        found = card.add(
            image,
            truth_as_detections(truth, image) if results is None else results.detections(image),
        )
        if args.out is not None and args.surface is not None:
            with scores_survive("a person cannot be shown in the report"):
                gallery.add(found)
    return gallery


def _results(path: Path) -> Results:
    from tqdm import tqdm

    from ..evaluation.official_predictions import read_official_predictions
    from ..evaluation.results import Results

    if path.suffix == ".pth":
        entries = tqdm(read_official_predictions(path), desc="converting", disable=None)
        return Results(path, entries)
    return Results.read(path)


def _check_images(results: Results, truth: GroundTruth) -> None:
    unknown = sorted(results.by_image.keys() - truth.known_ids)
    if unknown:
        raise ValueError(
            f"{results.source} has detections of image {unknown[0]}, not in {truth.source}"
        )


def _save_results(args: argparse.Namespace) -> None:
    from ..evaluation.results import write_results

    count = write_results(args.save_results, _results(args.results).entries())
    print(f"Wrote {counted(count, 'detection')} to {args.save_results}")
