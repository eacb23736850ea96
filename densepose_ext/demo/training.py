"""The training of the demo."""

from __future__ import annotations

from pathlib import Path

from detectron2.config import CfgNode
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng

from ..engine.trainer import DensePoseTrainer
from .progress import Progress


def trained_weights(cfg: CfgNode) -> Path:
    """Path of the weights after training."""
    return Path(cfg.OUTPUT_DIR) / "model_final.pth"


def train(cfg: CfgNode) -> None:
    """Trains in each process, or resumes an earlier run."""
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATASETS.TEST = ()  # evaluated separately, with a progress bar
    # These losses are sums over the points of a process, and are averaged over processes.
    cfg.MODEL.ROI_DENSEPOSE_HEAD.POINT_REGRESSION_WEIGHTS *= comm.get_world_size()
    cfg.freeze()
    seed_all_rng(cfg.SEED if cfg.SEED >= 0 else None)  # for the initial weights
    trainer = DensePoseTrainer(cfg)
    trainer.resume_or_load(resume=True)
    if comm.is_main_process():
        trainer.register_hooks([Progress()])
    trainer.train()
