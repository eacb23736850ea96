"""The demonstration's scores, kept in a folder for each model."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from detectron2.data import DatasetCatalog
from detectron2.evaluation import inference_on_dataset
from detectron2.utils import comm
from tqdm import tqdm

from ..data.build import build_densepose_test_loader
from ..engine.trainer import build_evaluator
from ..files.atomic import replacing
from ..files.cache import content_key
from ..prediction.predictor import DensePosePredictor


def is_scored(weights: Path, folder: Path) -> bool:
    """Whether the folder has the scores of these weights, and not of earlier ones."""
    path = folder / "box.json"
    return path.exists() and json.loads(path.read_text()).get("weights") == content_key(weights)


def score(name: str, predictor: DensePosePredictor, dataset: str, folder: Path) -> None:
    """Scores a model on a dataset, whose images are shared out among the processes.

    The folder gets the scores of boxes by Detectron2 in ``box.json``, those of dense pose with
    tables in ``metrics.json``, and ``report.html``.

    Args:
        name: for the progress bar.
    """
    folder.mkdir(parents=True, exist_ok=True)
    loader = build_densepose_test_loader(predictor.cfg, dataset)
    evaluator = build_evaluator(predictor.cfg, dataset, str(folder))
    hidden = not comm.is_main_process()
    start = time.perf_counter()
    with (
        contextlib.closing(
            tqdm(loader, desc=name, unit="image", mininterval=0.5, disable=hidden)
        ) as bar,
        open(os.devnull if hidden else folder / "boxes.txt", "w") as log,
        contextlib.redirect_stdout(log),  # pycocotools prints
    ):
        results = inference_on_dataset(predictor.tested, bar, evaluator)
    if hidden:
        return
    own = {
        "milliseconds": (time.perf_counter() - start) * 1000 / len(DatasetCatalog.get(dataset)),
        "weights": content_key(predictor.cfg.MODEL.WEIGHTS),
    }
    with replacing(folder / "box.json") as temporary:
        temporary.write_text(json.dumps(results["bbox"] | own))


def read_scores(folder: Path) -> dict:
    """What ``score`` has left in a folder.

    Returns:
        "box", Detectron2's scores of the boxes in percent; "densepose", what ``metrics.json``
        holds; "milliseconds", the time of the whole dataset over the number of its images.
    """
    box = json.loads((folder / "box.json").read_text())
    del box["weights"]
    return {
        "milliseconds": box.pop("milliseconds"),
        "box": box,
        "densepose": json.loads((folder / "metrics.json").read_text()),
    }
