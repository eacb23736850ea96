"""Training that begins on other data sets than it goes on with."""

from __future__ import annotations

import logging

from detectron2.config import CfgNode
from detectron2.engine import HookBase

from .data.build import build_densepose_train_loader

logger = logging.getLogger(f"detectron2.{__name__}")


class Curriculum(HookBase):
    """Goes on to DATASETS.TRAIN when the iterations of DATASETS.TRAIN_FIRST are over.

    Easy examples before hard ones can speed up training (Bengio et al., ICML 2009). And the data
    sets of DATASETS.TRAIN are not read before: they may still be in the making.
    """

    def __init__(self, cfg: CfgNode):
        self._cfg = cfg
        self._is_over = not cfg.SOLVER.TRAIN_FIRST_ITERS

    def before_step(self) -> None:
        trainer = self.trainer
        if self._is_over or trainer.iter < self._cfg.SOLVER.TRAIN_FIRST_ITERS:
            return
        self._is_over = True
        logger.info(
            f"iteration {trainer.iter}: training goes on with {', '.join(self._cfg.DATASETS.TRAIN)}"
        )
        loader = build_densepose_train_loader(self._cfg, trainer.iter)
        loader.batch_sampler.seed = trainer.data_loader.batch_sampler.seed
        loader.batch_sampler.first_iteration = trainer.iter
        trainer._trainer.reset_data_loader(lambda: loader)
