"""Training runs of the tiny model within the test's process."""

from collections.abc import Callable
from pathlib import Path

import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine.hooks import CallbackHook

from densepose_ext import DensePoseTrainer, register_densepose_coco
from projects_tests.tiny_dataset import make_surface
from projects_tests.tiny_model import tiny_config

NAME = "tiny_run"


def register(path: Path) -> None:
    """The dataset that runs are trained on, as ``make_dataset`` made it."""
    surface = make_surface(path.parent / "surface")
    register_densepose_coco(NAME, path, path.parent, surface=surface)


def unregister() -> None:
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def config(folder, *overrides):
    """Six iterations without tests; a checkpoint after every second."""
    return tiny_config(
        "DATASETS.TRAIN", (NAME,), "DATASETS.TEST", (), "OUTPUT_DIR", str(folder), "SEED", 1,
        "INPUT.COLOR_JITTER", 0.2, "SOLVER.MAX_ITER", 6, "SOLVER.CHECKPOINT_PERIOD", 2,
        *overrides,
    )  # fmt: skip


def train(
    cfg,
    resume: bool = False,
    before_step: Callable | None = None,
    after_step: Callable | None = None,
) -> DensePoseTrainer:
    """A finished run.

    Args:
        before_step, after_step: called with the trainer, the latter after all other hooks.
    """
    torch.manual_seed(0)
    trainer = DensePoseTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.register_hooks([CallbackHook(before_step=before_step, after_step=after_step)])
    trainer.train()
    return trainer


def weights(path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["model"]


def assert_same_weights(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
