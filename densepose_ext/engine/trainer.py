"""Training and testing with Detectron2's trainer: the parts that dense pose replaces."""

from __future__ import annotations

import functools
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from detectron2.config import CfgNode
from detectron2.engine import DefaultTrainer, HookBase, defaults
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators
from torch import nn
from torch.utils.data import DataLoader

from .. import bootstrapping
from ..bootstrapping import BootstrappedLoader
from ..data.build import build_densepose_test_loader
from ..evaluation.evaluator import DensePoseEvaluator
from ..evaluation.instances import InstanceEvaluator
from ..modeling.build import build_model
from ..modeling.test_time_augmentation import DensePoseRCNNWithTTA
from .bfloat16_trainer import BFloat16Trainer
from .checkpoint import DensePoseCheckpointer
from .hooks import with_training_hooks
from .optimizer import build_optimizer

logger = logging.getLogger(f"detectron2.{__name__}")


def build_train_loader(cfg: CfgNode) -> DataLoader | BootstrappedLoader:
    """An infinite loader of training batches, bootstrapped if BOOTSTRAP_DATASETS is set."""
    return bootstrapping.build_train_loader(
        cfg, lambda model, path: DensePoseCheckpointer(model).load(path)
    )


def build_evaluator(
    cfg: CfgNode, dataset_name: str, output_folder: str | None = None
) -> DatasetEvaluator:
    """The evaluators of all heads of the model on a dataset.

    Args:
        output_folder: for detections and scores. Default: OUTPUT_DIR/inference, with a folder per
            dataset if there are several.
    """
    output_folder = output_folder or os.path.join(cfg.OUTPUT_DIR, "inference")
    if len(cfg.DATASETS.TEST) > 1:
        output_folder = os.path.join(output_folder, dataset_name)
    sigmas = list(cfg.TEST.KEYPOINT_OKS_SIGMAS)
    evaluators: list[DatasetEvaluator] = [
        InstanceEvaluator(
            dataset_name,
            output_dir=output_folder,
            kpt_oks_sigmas=sigmas,
            categories=cfg.DATASETS.WHITELISTED_CATEGORIES.get(dataset_name),
            category_map=cfg.DATASETS.CATEGORY_MAPS.get(dataset_name),
        )
    ]
    if cfg.MODEL.DENSEPOSE_ON:
        evaluators.append(DensePoseEvaluator.from_config(cfg, dataset_name, output_folder))
    return DatasetEvaluators(evaluators)


class DensePoseTrainer(DefaultTrainer):
    """DefaultTrainer with the data, evaluation and test-time augmentation of dense pose.

    A run that is stopped or killed at any moment and resumed ends with the weights of an
    uninterrupted run, on the CPU to the bit: see :mod:`.hooks`. TEST.PRECISE_BN is an exception,
    since the images that it averages over depend on where the run was resumed.
    """

    def __init__(self, cfg: CfgNode):
        with densepose_parts_in_default_trainer():
            super().__init__(cfg)

    def build_hooks(self) -> list[HookBase]:
        return with_training_hooks(self, super().build_hooks())

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        return build_model(cfg)

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        return build_optimizer(cfg, model)

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> DataLoader | BootstrappedLoader:
        return build_train_loader(cfg)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> DataLoader:
        return build_densepose_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(
        cls, cfg: CfgNode, dataset_name: str, output_folder: str | None = None
    ) -> DatasetEvaluator:
        return build_evaluator(cfg, dataset_name, output_folder)

    @classmethod
    def test_with_TTA(cls, cfg: CfgNode, model: nn.Module) -> OrderedDict:
        """Scores with test-time augmentation, with ``_TTA`` appended to their names."""
        logger.info("Testing with test-time augmentation ...")
        folder = os.path.join(cfg.OUTPUT_DIR, "inference_TTA")
        evaluators = [cls.build_evaluator(cfg, name, folder) for name in cfg.DATASETS.TEST]
        results = cls.test(cfg, DensePoseRCNNWithTTA(cfg, model), evaluators)
        return OrderedDict((f"{name}_TTA", scores) for name, scores in results.items())


@contextmanager
def densepose_parts_in_default_trainer() -> Iterator[None]:
    """Context in which DefaultTrainer uses :func:`parts_of_default_trainer`."""
    parts = parts_of_default_trainer()
    originals = {name: getattr(defaults, name) for name in parts}
    for name, part in parts.items():
        setattr(defaults, name, part)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(defaults, name, original)


def parts_of_default_trainer() -> dict[str, Callable]:
    """Our checkpointer, bfloat16 and, on the CPU, several processes.

    DefaultTrainer refers to them by name in its module, and has no method to override.
    """
    return {
        "create_ddp_model": _ddp_on_any_device(defaults.create_ddp_model),
        "DetectionCheckpointer": DensePoseCheckpointer,
        "AMPTrainer": _amp_on_any_device(defaults.AMPTrainer),
    }


def _ddp_on_any_device(create_ddp_model: Callable) -> Callable:
    """A ``create_ddp_model`` that names no GPU for models on the CPU: torch would refuse it."""

    @functools.wraps(create_ddp_model)
    def create(model: nn.Module, **kwargs):
        if _is_on_cpu(model):
            kwargs.setdefault("device_ids", None)
        return create_ddp_model(model, **kwargs)

    return create


def _amp_on_any_device(amp_trainer: Callable) -> Callable:
    """An ``AMPTrainer`` that trains in bfloat16 on the CPU, which Detectron2's refuses, and where
    SOLVER.AMP.PRECISION asks for it."""

    @functools.wraps(amp_trainer, updated=())
    def create(model: nn.Module, *args, **kwargs):
        dtype = getattr(getattr(model, "module", model), "training_dtype", None)
        in_bfloat16 = dtype == torch.bfloat16 or _is_on_cpu(model)
        return (BFloat16Trainer if in_bfloat16 else amp_trainer)(model, *args, **kwargs)

    return create


def _is_on_cpu(model: nn.Module) -> bool:
    return next(model.parameters()).device.type == "cpu"
