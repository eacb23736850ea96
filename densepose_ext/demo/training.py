"""The demonstration's training."""

from __future__ import annotations

from pathlib import Path

from detectron2.config import CfgNode
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng

from ..engine.trainer import DensePoseTrainer
from .progress import Progress


def trained_weights(cfg: CfgNode) -> Path:
    """Where the weights are when the training is over."""
    return Path(cfg.OUTPUT_DIR) / "model_final.pth"


def train(cfg: CfgNode) -> None:
    """Trains in each process, or goes on from where an earlier run was."""
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATASETS.TEST = ()  # scored by itself, with a bar
    # A sum over the points of a process, of which the mean over processes is taken.
    cfg.MODEL.ROI_DENSEPOSE_HEAD.POINT_REGRESSION_WEIGHTS *= comm.get_world_size()
    cfg.freeze()
    seed_all_rng(cfg.SEED if cfg.SEED >= 0 else None)  # the weights to start from
    trainer = DensePoseTrainer(cfg)
    trainer.resume_or_load(resume=True)
    if comm.is_main_process():
        trainer.register_hooks([Progress()])
    trainer.train()
