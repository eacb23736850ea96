"""Robustness of one model to small, occluded, truncated and blurred people."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog

from ..demo.processes import in_processes
from ..files.cache import content_key
from ..prediction.predictor import DensePosePredictor
from .data import StudyData
from .outcome import MEASURES, Outcome, digest, read_outcome
from .plans import Run
from .training import score

#: Test -> standard deviation of its blur, pixels.
BLURS = {"as it is": 0.0, "blur of 1 pixel": 1.0, "blur of 2 pixels": 2.0, "blur of 4 pixels": 4.0}
QUESTION = "Which people does a model fail on?"
RUNS = tuple(Run(name) for name in BLURS)


class Tester:
    """Tests one model on one dataset."""

    def __init__(self, model: str | None, weights: str | None, out: Path, data: StudyData):
        """
        Args:
            model, weights: as for DensePosePredictor; None for the shipped model.
            out: folder for the tests.

        Raises:
            OSError, ValueError: the model cannot be used.
        """
        device = "cuda" if torch.cuda.is_available() else "cpu"
        predictor = DensePosePredictor(model, weights, device)
        self._cfg: CfgNode = predictor.cfg.clone()
        self._cfg.defrost()
        self._cfg.DATASETS.TEST = (data.test,)
        self._cfg.freeze()
        self._out, self._data = out, data

    def outcome(self, run: Run, seed: int) -> Outcome:
        """The result of a test, which is run unless it is done already."""
        cfg = self._cfg.clone()
        cfg.defrost()
        weights = Path(cfg.MODEL.WEIGHTS)
        cfg.MODEL.WEIGHTS = content_key(weights)
        blur = BLURS[run.name]
        record = {"data": self._data.record("points"), "config": cfg.dump(), "blur": blur}
        folder = self._out / "tests" / digest(record)
        if not (folder / MEASURES).exists():
            print(f"{run.name}: {folder}", file=sys.stderr, flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            images = {self._data.test: DatasetCatalog.get(self._data.test)}
            in_processes(score, self._cfg, images, weights, folder, blur)
        return read_outcome(run.name, seed, folder)
