"""Training and test of a run, as executed in each of its processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.utils import comm

from ..demo.log import log_to
from ..demo.scoring import evaluate
from ..demo.training import train, trained_weights
from ..evaluation.evaluator import DensePoseEvaluator
from ..files.atomic import write_whole
from ..model_zoo import get
from ..prediction.predictor import DensePosePredictor
from .measures import measures

#: Modules of the shipped model that runs do not start from: the dense pose branch.
_LEARNT_ANEW = ("roi_heads.densepose", "roi_heads.decoder", "second_look")


def train_and_test(cfg: CfgNode, folder: Path) -> None:
    """Trains a model, resuming from its last checkpoint, tests it, and writes ``measures.json``.

    Args:
        cfg: of the model; OUTPUT_DIR has its checkpoints.
        folder: for the log and the results.
    """
    log_to(folder / "log.txt")
    if not trained_weights(cfg).exists():
        train(cfg)
    comm.synchronize()  # only the main process writes the weights
    score(cfg, trained_weights(cfg), folder)


def score(cfg: CfgNode, weights: Path, folder: Path, blur: float = 0.0) -> None:
    """Tests a model on DATASETS.TEST, and writes ``measures.json`` and ``report.html``.

    Args:
        blur: standard deviation of a Gaussian blur, in pixels of the model's input.
    """
    log_to(folder / "log.txt")
    (dataset,) = cfg.DATASETS.TEST
    predictor = DensePosePredictor(cfg, weights, cfg.MODEL.DEVICE)
    evaluator = DensePoseEvaluator.from_config(cfg, dataset, folder)
    change: Callable[[dict], dict] = (lambda image: _blurred(image, blur)) if blur else dict
    evaluate("test", predictor, dataset, evaluator, folder, change)
    if comm.is_main_process():
        found = measures(evaluator.scorecard)
        write_whole(folder / "measures.json", json.dumps(found).encode())


def write_trunk(path: Path) -> None:
    """Writes the shipped model without its dense pose branch, unless the file exists."""
    if path.exists():
        return
    content = torch.load(get().weights, map_location="cpu", weights_only=True)
    model = {
        name: value.float() if value.is_floating_point() else value
        for name, value in content["model"].items()
        if not name.startswith(_LEARNT_ANEW)
    }
    torch.save({"model": model}, path)


def _blurred(image: dict, sigma: float) -> dict:
    """The model's input (3, H, W) uint8, blurred."""
    pixels = np.ascontiguousarray(image["image"].permute(1, 2, 0).numpy())
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma)
    return image | {"image": torch.from_numpy(blurred).permute(2, 0, 1).contiguous()}
