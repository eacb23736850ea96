"""The scores of the demo, in a folder per model."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from detectron2.data import DatasetCatalog
from detectron2.evaluation import DatasetEvaluator, inference_on_dataset
from detectron2.utils import comm
from tqdm import tqdm

from ..data.build import build_densepose_test_loader
from ..engine.trainer import build_evaluator
from ..files.atomic import replacing
from ..files.cache import content_key
from ..prediction.predictor import DensePosePredictor


def is_scored(weights: Path, folder: Path) -> bool:
    """Whether the folder has the scores of these weights, not of earlier ones."""
    path = folder / "box.json"
    return path.exists() and json.loads(path.read_bytes()).get("weights") == content_key(weights)


def score(name: str, predictor: DensePosePredictor, dataset: str, folder: Path) -> None:
    """Scores a model on a dataset, whose images the processes share.

    Writes Detectron2's scores of boxes to ``box.json``, those of dense pose to ``metrics.json`` and
    ``report.html``.

    Args:
        name: for the progress bar.
    """
    evaluator = build_evaluator(predictor.cfg, dataset, str(folder))
    start = time.perf_counter()
    results = evaluate(name, predictor, dataset, evaluator, folder)
    if not comm.is_main_process():
        return
    own = {
        "milliseconds": (time.perf_counter() - start) * 1000 / len(DatasetCatalog.get(dataset)),
        "weights": content_key(predictor.cfg.MODEL.WEIGHTS),
    }
    with replacing(folder / "box.json") as temporary:
        temporary.write_text(json.dumps(results["bbox"] | own))


def evaluate(
    name: str,
    predictor: DensePosePredictor,
    dataset: str,
    evaluator: DatasetEvaluator,
    folder: Path,
    change: Callable[[dict], dict] = lambda image: image,
) -> dict:
    """Runs an evaluator over a dataset, with a bar. What is printed goes to ``boxes.txt``.

    Args:
        name: for the progress bar.
        folder: made if it is missing.
        change: of each image, as the model takes it.

    Returns:
        the results on the main process, nothing on others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    loader = build_densepose_test_loader(predictor.cfg, dataset)
    hidden = not comm.is_main_process()
    with (
        contextlib.closing(
            tqdm(loader, desc=name, unit="image", mininterval=0.5, disable=hidden)
        ) as bar,
        open(os.devnull if hidden else folder / "boxes.txt", "w", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),  # pycocotools prints
    ):
        batches = _Changed(bar, change)
        return inference_on_dataset(predictor.tested, batches, evaluator)


class _Changed:
    """Batches of changed images."""

    def __init__(self, batches: tqdm, change: Callable[[dict], dict]):
        self._batches, self._change = batches, change

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[dict]]:
        for batch in self._batches:
            yield [self._change(image) for image in batch]


def read_scores(folder: Path) -> dict:
    """The results of :func:`score` in a folder.

    Returns:
        "box": Detectron2's scores of boxes in percent; "densepose": the content of
        ``metrics.json``; "milliseconds": mean time per image.
    """
    box = json.loads((folder / "box.json").read_bytes())
    del box["weights"]
    return {
        "milliseconds": box.pop("milliseconds"),
        "box": box,
        "densepose": json.loads((folder / "metrics.json").read_bytes()),
    }
