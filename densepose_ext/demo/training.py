"""The demonstration's training: on the CPU one process for each core."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng

from ..engine import DensePoseTrainer
from ..launch import launch
from .progress import Progress

#: With fewer images for each process their times differ more, and all wait for the slowest.
IMAGES_A_PROCESS = 2


def train(cfg: CfgNode, start_log: Callable[[], None]) -> str:
    """Trains, or goes on from where an earlier run was; nothing to do if that was finished.

    Threads wait for one another in each of a step's thousands of operations, and long where another
    program has taken a core; processes, each with its share of the images, do so once a step.

    Args:
        cfg: its data sets of training are there.
        start_log: called in each process, which inherits no handlers; from the top of a module.

    Returns:
        path of the trained weights.
    """
    weights = Path(cfg.OUTPUT_DIR) / "model_final.pth"
    if weights.exists():
        return str(weights)
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATASETS.TEST = ()  # scored by itself, with a bar
    threads = torch.get_num_threads()
    processes = number_of_processes(cfg.SOLVER.IMS_PER_BATCH, threads)
    if cfg.MODEL.DEVICE != "cpu":
        processes = 1
    # A sum over the points of a process, of which the mean over processes is taken.
    cfg.MODEL.ROI_DENSEPOSE_HEAD.POINT_REGRESSION_WEIGHTS *= processes
    cfg.freeze()
    sets = {
        name: (DatasetCatalog.get(name), MetadataCatalog.get(name).as_dict())
        for name in cfg.DATASETS.TRAIN
    }
    if cfg.MODEL.DEVICE == "cpu":
        # Detectron2's launcher wants a GPU for each process wherever it sees any.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    launch(
        _train,
        processes,
        dist_url="auto",
        args=(cfg, sets, max(threads // processes, 1), start_log),
    )
    return str(weights)


def number_of_processes(images: int, cores: int) -> int:
    """How many processes share a step on the CPU: as many as cores, if that divides the images."""
    most = min(cores, images // IMAGES_A_PROCESS)
    return max((n for n in range(1, most + 1) if images % n == 0), default=1)


def _train(cfg: CfgNode, sets: dict, threads: int, start_log: Callable[[], None]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    start_log()
    for name, (records, metadata) in sets.items():
        if name not in DatasetCatalog:  # registered by the process that started this one
            DatasetCatalog.register(name, lambda records=records: records)
            MetadataCatalog.get(name).set(**metadata)
    seed_all_rng(cfg.SEED if cfg.SEED >= 0 else None)  # the weights to start from
    try:
        trainer = DensePoseTrainer(cfg)
        trainer.resume_or_load(resume=True)
        if comm.is_main_process():
            trainer.register_hooks([Progress()])
        trainer.train()
    finally:
        torch.set_num_threads(before)
