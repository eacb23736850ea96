"""Builds the training loader of a config, with bootstrapping if BOOTSTRAP_DATASETS is set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.utils import comm
from torch import nn
from torch.utils.data import DataLoader

from ..config.bootstrapping import BootstrapSettings, bootstrap_settings
from ..data.build import build_densepose_train_loader
from ..data.mapper import DensePoseDatasetMapper
from ..data.sampler import TrainingBatches
from ..modeling.build import build_model
from .labelling import Labeller
from .loader import BootstrappedLoader, UnlabelledSet
from .pictures import UnlabelledPictures, find_unlabelled, surface_of


def build_train_loader(
    cfg: CfgNode, load: Callable[[nn.Module, str], object]
) -> DataLoader | BootstrappedLoader:
    """An infinite loader of training batches.

    Args:
        load: loads the checkpoint at a path into the frozen model.

    Raises:
        ValueError, OSError: as ``build_densepose_train_loader``; also if a dataset has nothing to
            bootstrap from, or the frozen model cannot be built.
    """
    settings = bootstrap_settings(cfg)
    labelled = build_densepose_train_loader(cfg)
    if not settings:
        return labelled
    mapper = DensePoseDatasetMapper(cfg, True)
    pictures = [_pictures(cfg, one) for one in settings]
    model = _frozen_model(cfg, load)
    sets = [
        UnlabelledSet(
            name=one.dataset,
            pictures=found,
            batches=TrainingBatches(
                np.ones(len(found)),
                cfg.SOLVER.IMS_PER_BATCH,
                labelled.batch_sampler.seed,
                rank=comm.get_rank(),
                world_size=comm.get_world_size(),
            ),
            label=_labeller(one, model, mapper.use_instance_mask),
            ratio=one.ratio,
            surface=surface_of(cfg.DATASETS.TRAIN),
            by_true_category=one.use_ground_truth_categories,
            num_workers=one.num_workers,
        )
        for one, found in zip(settings, pictures)
    ]
    return BootstrappedLoader(labelled, sets, mapper, cfg.SOLVER.IMS_PER_BATCH)


def _pictures(cfg: CfgNode, settings: BootstrapSettings) -> UnlabelledPictures:
    found = find_unlabelled(
        settings.dataset,
        where=settings.key,
        loader_type=settings.loader_type,
        strategy=settings.strategy,
        num_images=settings.num_images,
        categories=cfg.DATASETS.WHITELISTED_CATEGORIES.get(settings.dataset),
        category_map=cfg.DATASETS.CATEGORY_MAPS.get(settings.dataset),
    )
    return UnlabelledPictures(found, cfg.INPUT.FORMAT)


def _labeller(settings: BootstrapSettings, model: nn.Module, with_masks: bool) -> Labeller:
    return Labeller(
        model,
        sampler=settings.sampler,
        count_per_class=settings.count_per_class,
        min_score=settings.min_score,
        min_size=settings.min_size,
        max_size=settings.max_size,
        batch_size=settings.input_batch_size,
        with_masks=with_masks,
    )


def _frozen_model(cfg: CfgNode, load: Callable[[nn.Module, str], object]) -> nn.Module:
    """The model of the config, with the weights of BOOTSTRAP_MODEL."""
    device = cfg.BOOTSTRAP_MODEL.DEVICE
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"BOOTSTRAP_MODEL.DEVICE = {device!r}: there is no such device, expected 'cpu'"
        )
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.DEVICE = device
    model = build_model(cfg)
    load(model, cfg.BOOTSTRAP_MODEL.WEIGHTS)
    return model.eval().requires_grad_(False)
