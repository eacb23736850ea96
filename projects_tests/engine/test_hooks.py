"""Runs that are stopped, fail, or save by the clock; in the test's process."""

import logging
import os
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from detectron2.engine import DefaultTrainer

from densepose_ext import DensePoseTrainer, plugin
from densepose_ext.engine import hooks
from densepose_ext.engine.hooks import with_training_hooks
from densepose_ext.files import sole_use
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_run import (
    assert_same_weights,
    config,
    register,
    train,
    unregister,
    weights,
)

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _dataset(images):
    register(images)
    yield
    unregister()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("runs"), images=5)


@pytest.fixture(autouse=True)
def _log(_logs_are_seen):
    """A trainer sets up the logger, unless it has a level, and then stops its propagation."""
    logging.getLogger("detectron2").setLevel(logging.INFO)
    yield
    logging.getLogger("detectron2").setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """Final weights of an uninterrupted run, by optimizer."""
    logging.getLogger("detectron2").setLevel(logging.INFO)  # as in _log
    register(images)
    try:
        return {
            name: weights(final(train(config(tmp_path_factory.mktemp(name), *OPTIMIZERS[name]))))
            for name in OPTIMIZERS
        }
    finally:
        unregister()


OPTIMIZERS = {
    "SGD": [],
    "AdamW": [
        "SOLVER.OPTIMIZER", "AdamW", "SOLVER.BACKBONE_LR_FACTOR", 0.1,
        "SOLVER.LR_SCHEDULER_NAME", "WarmupCosineLR", "MODEL.CHANNELS_LAST", True,
        "SOLVER.CLIP_GRADIENTS.ENABLED", True,
    ],
}  # fmt: skip


def final(trainer) -> Path:
    return Path(trainer.cfg.OUTPUT_DIR) / "model_final.pth"


class Killed(Exception):
    pass


def kill_at(iteration: int):
    """A callback that ends the process as far as the trainer can tell."""

    def kill(trainer):
        if trainer.iter == iteration:
            raise Killed

    return kill


def signal_at(iteration: int, number: int):
    return lambda trainer: os.kill(os.getpid(), number) if trainer.iter == iteration else None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_killed_and_resumed_ends_with_the_same_weights(optimizer, whole, tmp_path):
    cfg = config(tmp_path, *OPTIMIZERS[optimizer])
    with pytest.raises(Killed):
        train(cfg, before_step=kill_at(3))
    np.random.seed(7)  # a new process would have drawn another one
    resumed = train(cfg, resume=True)
    assert resumed.start_iter == 2
    assert_same_weights(weights(final(resumed)), whole[optimizer])


def test_a_seed_that_was_drawn_is_kept(tmp_path):
    def run(folder, drawing, **arguments):
        np.random.seed(drawing)
        return train(config(folder, "SEED", -1), **arguments)

    whole = weights(final(run(tmp_path / "whole", 0)))
    with pytest.raises(Killed):
        run(tmp_path / "killed", 0, before_step=kill_at(3))
    assert_same_weights(weights(final(run(tmp_path / "killed", 1, resume=True))), whole)


def test_another_seed_of_the_config_is_used_with_a_warning(tmp_path, caplog):
    with pytest.raises(Killed):
        train(config(tmp_path), before_step=kill_at(2))
    train(config(tmp_path, "SEED", 5, "SOLVER.MAX_ITER", 3), resume=True)
    assert "SEED = 5, but the interrupted run had 1" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_told_to_stop_loses_nothing(number, whole, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt) as raised:
        train(config(tmp_path), before_step=signal_at(2, number))
    message = (
        f"Stopped after iteration 2 of 6, saved as {tmp_path / 'model_latest.pth'}."
        " To go on, run the same command with --resume"
    )
    assert str(raised.value) == message
    assert message in caplog.text
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers

    resumed = train(config(tmp_path), resume=True)
    assert resumed.start_iter == 3
    assert_same_weights(weights(final(resumed)), whole["SGD"])
    assert not (tmp_path / "model_latest.pth").exists()


def test_between_iterations_a_run_stops_at_once(tmp_path):
    seen = []

    def long_evaluation(trainer):
        signal_at(1, signal.SIGINT)(trainer)
        seen.append(trainer.iter)

    with pytest.raises(KeyboardInterrupt, match="iteration 1 of 6"):
        train(config(tmp_path), after_step=long_evaluation)
    assert seen == [0]
    assert torch.load(tmp_path / "model_latest.pth", weights_only=True)["iteration"] == 1


def test_the_second_time_it_stops_without_saving(tmp_path):
    def twice(trainer):
        signal_at(1, signal.SIGINT)(trainer)
        signal_at(1, signal.SIGINT)(trainer)

    with pytest.raises(KeyboardInterrupt, match="Stopped at once, without a checkpoint"):
        train(config(tmp_path), before_step=twice)
    assert not (tmp_path / "last_checkpoint").exists()


def test_checkpoints_are_written_by_the_clock(tmp_path):
    found = []

    def look(trainer):
        path = tmp_path / "model_latest.pth"
        found.append(torch.load(path, weights_only=True)["iteration"] if path.exists() else None)

    cfg = config(tmp_path, "SOLVER.CHECKPOINT_SECONDS", 1e-3, "SOLVER.MAX_ITER", 3)
    train(cfg, after_step=look)
    assert found == [0, 1, None]
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"

    cfg = config(tmp_path / "rarely", "SOLVER.CHECKPOINT_SECONDS", 1e3, "SOLVER.MAX_ITER", 3)
    train(cfg, after_step=look)
    assert found[3:] == [None] * 3


@pytest.mark.parametrize(
    ("spoilt", "found"),
    [
        (
            "roi_heads.box_predictor.cls_score",
            r"a loss is not finite: loss_cls nan, .*loss_rpn",
        ),
        # Detectron2 itself fails, inside the model.
        ("proposal_generator.rpn_head.objectness_logits", "Predicted boxes or scores contain Inf"),
    ],
)
def test_a_loss_that_is_not_finite_names_the_images(spoilt, found, tmp_path):
    """Weights that became infinite, as with a learning rate that is too high."""
    batches = []

    def spoil(trainer):
        batches.append(trainer.data_loader.batch_sampler.batch(trainer.iter))
        if trainer.iter == 2:
            torch.nn.init.constant_(trainer.model.get_submodule(spoilt).bias, torch.inf)

    with pytest.raises(FloatingPointError, match=rf"^iteration 2: {found}") as raised:
        train(config(tmp_path), before_step=spoil)
    images = str(raised.value).split("images of the batch: ")[1]
    assert re.findall(r"(\d+) \(\S*/(\d+)\.jpg\)", images) == [
        (str(sample.image + 1), str(sample.image + 1)) for sample in batches[2]
    ]
    # No step was taken, and nothing was saved.
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000001.pth"


def test_a_full_disk_is_reported_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**6))
    with pytest.raises(OSError, match=r"has 1,000,000 bytes free, but training needs about"):
        DensePoseTrainer(config(tmp_path))


def test_an_error_before_training_is_raised_in_every_process(tmp_path, monkeypatch):
    """A process other than the first, which alone runs the checks."""
    error = OSError("no space")
    monkeypatch.setattr(hooks.comm, "is_main_process", lambda: False)
    monkeypatch.setattr(hooks.comm, "all_gather", lambda own: [error, own])
    with pytest.raises(OSError, match="no space"):
        DensePoseTrainer(config(tmp_path))


def test_processes_that_resumed_different_iterations_do_not_train(monkeypatch):
    """As on two machines, of which one has no checkpoint in its OUTPUT_DIR."""
    hook = hooks.SeededIterations(1, None)
    hook.trainer = SimpleNamespace(start_iter=0)
    monkeypatch.setattr(hooks.comm, "all_gather", lambda own: [(own[0], 500), own])
    with pytest.raises(ValueError, match="start at the iterations 500, 0: OUTPUT_DIR has to be"):
        hook.before_train()


@pytest.mark.parametrize("number", [1, 2])
def test_workers_that_die_end_the_run(number, tmp_path, monkeypatch):
    """Such as by the kernel, when memory runs out."""
    from densepose_ext.data.mapper import DensePoseDatasetMapper

    mapped = DensePoseDatasetMapper.__call__

    def dies(self, record):
        worker = torch.utils.data.get_worker_info()
        if worker is not None and worker.id == number - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return mapped(self, record)

    def hang(*_):
        raise TimeoutError("the run waits for a worker that is dead")

    monkeypatch.setattr(DensePoseDatasetMapper, "__call__", dies)
    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(60)
    try:
        with pytest.raises(RuntimeError, match=r"DataLoader worker.*(Killed|exited unexpectedly)"):
            train(config(tmp_path, "DATALOADER.NUM_WORKERS", 2))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_an_error_in_a_worker_ends_the_run_with_its_message(tmp_path, monkeypatch):
    from densepose_ext.data.mapper import DensePoseDatasetMapper

    def fails(self, record):
        raise ValueError(f"{record['file_name']}: no good")

    monkeypatch.setattr(DensePoseDatasetMapper, "__call__", fails)
    with pytest.raises(ValueError, match=r"in DataLoader worker(.|\n)*\d\.jpg: no good"):
        train(config(tmp_path, "DATALOADER.NUM_WORKERS", 1))


@pytest.mark.parametrize(("filtered", "used"), [(True, 1), (False, 6)])
def test_most_images_have_no_dense_pose(filtered, used, tmp_path, caplog):
    """One of six has, and makes batches of two by itself; or all are used."""
    caplog.set_level(logging.INFO)
    unregister()
    register(make_dataset(tmp_path / "data", images=6, dense=lambda number: number == 4))
    cfg = config(tmp_path, "DATALOADER.FILTER_EMPTY_ANNOTATIONS", filtered)
    trained = weights(final(train(cfg)))
    assert f"to train on, with {2 * used} people, 2 with dense pose" in caplog.text
    assert all(torch.isfinite(value).all() for value in trained.values())


def test_with_the_plugin_the_hooks_are_there_once(tmp_path):
    plugin.activate()
    try:
        own = DensePoseTrainer(config(tmp_path))
        stock = DefaultTrainer(config(tmp_path))
    finally:
        plugin.deactivate()
    kinds = [[type(hook).__name__ for hook in trainer._hooks] for trainer in (own, stock)]
    assert kinds[0] == kinds[1]
    assert len(kinds[0]) == len(set(kinds[0]))
    assert with_training_hooks(own, own._hooks) is own._hooks


def test_a_new_run_does_not_leave_the_end_of_another_to_be_resumed(tmp_path, caplog):
    train(config(tmp_path, "SOLVER.MAX_ITER", 2))
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"
    with pytest.raises(Killed):
        train(config(tmp_path), before_step=kill_at(1))
    assert "was of another run" in caplog.text
    assert (tmp_path / "last_checkpoint.before").read_text() == "model_final.pth"
    assert train(config(tmp_path, "SOLVER.MAX_ITER", 1), resume=True).start_iter == 0


def test_two_trainings_into_one_folder_do_not_mix(tmp_path, monkeypatch):
    """The second is refused at its start, and the first keeps the folder to its end."""
    monkeypatch.setattr(sole_use, "PATIENCE", 0)
    cfg = config(tmp_path, "SOLVER.MAX_ITER", 1)
    other = DensePoseTrainer(cfg)
    refused = []

    def begin_another(trainer) -> None:
        for begin in (lambda: DensePoseTrainer(cfg), other.train):
            with pytest.raises(ValueError, match="is in use by process") as error:
                begin()
            refused.append(str(error.value))

    train(cfg, after_step=begin_another)
    assert len(refused) == 2
    assert str(tmp_path) in refused[0]
    assert (tmp_path / "model_final.pth").exists()
    train(cfg)  # the folder is free again
