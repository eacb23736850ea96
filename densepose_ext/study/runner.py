"""Executes the runs of a study. Each has its own folder, and is skipped if it is done."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog

from ..config import load_config
from ..demo.log import log_to
from ..demo.processes import in_processes
from ..engine.bfloat16_trainer import multiplies_bfloat16
from ..files.atomic import write_whole
from ..files.cache import content_key
from ..files.configs import get_config_file
from ..model_zoo import get
from ..processes.cores import number_of_cores
from ..teacher.run import teach
from .budget import Budget
from .data import StudyData
from .outcome import MEASURES, Outcome, digest, read_outcome
from .plans import Run
from .training import train_and_test, write_trunk

TEACHER = "densepose_teacher_EffLite0.yaml"


def check_runs(budget: Budget, runs: Sequence[Run], overrides: Sequence) -> None:
    """Checks the configs of all runs before the first one starts.

    Raises:
        ValueError: a config cannot be used; the message names the run and the key.
    """
    for run in runs:
        try:
            _config(budget, run, [*_of_device(overrides), *overrides])
        except ValueError as error:
            raise ValueError(f"run {run.name!r}: {error}") from error


class Runner:
    """Executes runs of one budget. Studies share runs that have the same settings."""

    def __init__(self, budget: Budget, out: Path, data: StudyData, overrides: Sequence = ()):
        """
        Args:
            out: folder for runs, teachers and their annotations.
            overrides: ``KEY VALUE`` pairs for every run, and for the teacher.
        """
        self._budget, self._out, self._data = budget, out, data
        self._overrides = list(overrides)
        self._own = _of_device(overrides)
        if budget.from_shipped:
            out.mkdir(parents=True, exist_ok=True)
            trunk = out / "trunk.pth"
            write_trunk(trunk)
            self._own += ["MODEL.WEIGHTS", str(trunk), "MODEL.TIMM.WEIGHTS", ""]

    def outcome(self, run: Run, seed: int) -> Outcome:
        """The results of a run, which is executed unless it is done already.

        Raises:
            ValueError, OSError: data or config cannot be used.
        """
        cfg = self._config(run, seed)
        folder = self._out / "runs" / self._fingerprint(cfg, run.data)
        if not (folder / MEASURES).exists():
            _say(f"{run.name}, seed {seed}: {folder}")
            train = self._data.train(run.data, self.annotations(run.data))
            test = self._data.test_for(run.data, self._out / "annotations")
            folder.mkdir(parents=True, exist_ok=True)
            cfg.defrost()
            cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (train,), (test,)
            cfg.OUTPUT_DIR = str(folder / "training")
            cfg.freeze()
            write_whole(folder / "config.yaml", cfg.dump().encode())
            images = {name: DatasetCatalog.get(name) for name in (train, test)}
            in_processes(train_and_test, cfg, images, folder)
        return read_outcome(run.name, seed, folder)

    def _config(self, run: Run, seed: int) -> CfgNode:
        return _config(self._budget, run, [*self._own, *self._overrides, "SEED", seed])

    def _fingerprint(self, cfg: CfgNode, variant: str) -> str:
        """A hash of everything that determines a run's results, except the program."""
        cfg = cfg.clone()
        cfg.defrost()
        record = {"data": self._data.record(variant)}
        if self._budget.from_shipped:
            cfg.MODEL.WEIGHTS = content_key(get().weights)
        if variant == "teacher":
            record["teacher"] = self._teacher_key()
        cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = ()
        cfg.OUTPUT_DIR = ""
        return digest({**record, "config": cfg.dump()})

    def _teacher_config(self) -> CfgNode:
        opts = [*self._own, *self._budget.teacher, *self._overrides, "SEED", 1]
        return load_config(get_config_file(TEACHER), opts)

    def _teacher_key(self) -> str:
        cfg = self._teacher_config()
        cfg.defrost()
        if self._budget.from_shipped:
            cfg.MODEL.WEIGHTS = content_key(get().weights)
        cfg.OUTPUT_DIR = ""
        return digest({"data": self._data.record("points"), "config": cfg.dump()})

    def annotations(self, variant: str) -> Path:
        """The training annotations of a variant, which are made unless they exist."""
        if variant == "teacher":
            return self._taught()
        return self._data.annotations(variant, self._out / "annotations")

    def _taught(self) -> Path:
        """The annotations with a teacher's targets; trains the teacher if they do not exist."""
        folder = self._out / "teachers" / self._teacher_key()
        annotations = folder / "annotations.json"
        if not annotations.exists():
            _say(f"teacher: {folder}")
            cfg = self._teacher_config()
            cfg.defrost()
            cfg.OUTPUT_DIR = str(folder / "teacher")
            Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
            cfg.freeze()
            log_to(folder / "log.txt")
            truth, images = str(self._data.truth), str(self._data.images)
            teach(cfg, truth, images, "open", folder)
        return annotations


def _config(budget: Budget, run: Run, more: Sequence) -> CfgNode:
    opts = [*budget.changes, *run.changes, *more]
    return load_config(get_config_file(budget.config), opts)


def _of_device(overrides: Sequence) -> list:
    """Config overrides for the device: the given one, else a GPU if there is one."""
    given = dict(zip(overrides[::2], overrides[1::2]))
    device = given.get("MODEL.DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    workers = 0 if device == "cpu" else min(number_of_cores(), 8)
    own = ["MODEL.DEVICE", device, "DATALOADER.NUM_WORKERS", workers]
    return [*own, "SOLVER.AMP.ENABLED", multiplies_bfloat16()] if device == "cpu" else own


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
