"""Training hooks, which make a run safe to stop, kill and resume at any moment."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import torch
from detectron2.engine import DefaultTrainer, HookBase
from detectron2.engine.hooks import EvalHook
from detectron2.utils import comm
from fvcore.common.checkpoint import Checkpointer

from ..data.sampler import TrainingBatches
from ..data.seeding import Purpose, seed_global_generators
from ..files.sole_use import sole_use
from .averaged_weights import AveragedWeights
from .output_folder import check_space, checkpoint_bytes, checkpoints_to_come
from .test_sets import check_test_sets

logger = logging.getLogger(f"detectron2.{__name__}")

#: Name of the rolling checkpoint, without its extension.
LATEST = "model_latest"


def with_training_hooks(trainer: DefaultTrainer, hooks: list) -> list:
    """Adds the hooks of this module to those of a trainer, unless they are among them.

    Raises:
        OSError: OUTPUT_DIR has no room for the checkpoints.
        ValueError: another program trains into OUTPUT_DIR.
        ValueError, OSError: a test set cannot be used.
    """
    if any(isinstance(hook, SeededIterations) for hook in hooks):
        return hooks
    cfg = trainer.cfg
    claims = cfg.OUTPUT_DIR and comm.is_main_process()
    claimed = ExitStack()
    _check_in_main_process(lambda: _check_before_training(trainer))
    batches = getattr(trainer.data_loader, "batch_sampler", None)
    latest = LatestCheckpoint(trainer.checkpointer, cfg.SOLVER.CHECKPOINT_SECONDS)
    decay = cfg.SOLVER.EMA_DECAY
    averaged = [AveragedWeights(trainer.model, decay)] if decay else []
    # Before evaluation, which can take long: the checkpoint is to be written first.
    places = (n for n, hook in enumerate(hooks) if isinstance(hook, EvalHook))
    place = next(places, len(hooks))
    return [
        *([ClaimFolder(cfg.OUTPUT_DIR, claimed)] if claims else []),
        SeededIterations(cfg.SEED, batches if isinstance(batches, TrainingBatches) else None),
        FiniteLosses(),
        *averaged,  # before all hooks that test or save the model
        *hooks[:place],
        latest,
        *hooks[place:],
        ReleaseFolder(claimed),
    ]


def _check_before_training(trainer: DefaultTrainer) -> None:
    folder, solver = trainer.cfg.OUTPUT_DIR, trainer.cfg.SOLVER
    if folder:
        with sole_use(folder):
            pass  # refused now, not only when training begins
        count = checkpoints_to_come(folder, solver.MAX_ITER, solver.CHECKPOINT_PERIOD)
        is_averaged = solver.EMA_DECAY > 0
        size = checkpoint_bytes(trainer.model, trainer.optimizer, is_averaged)
        check_space(folder, size, count)
    check_test_sets(trainer)


def _check_in_main_process(check: Callable[[], None]) -> None:
    """Runs a check in the main process; its error is raised in all, so none waits for another."""
    found: Exception | None = None
    if comm.is_main_process():
        try:
            check()
        except (OSError, ValueError) as error:
            found = error
    found = comm.all_gather(found)[0]
    if found is not None:
        raise found


class ClaimFolder(HookBase):
    """Keeps other programs from training into a folder.

    Raises:
        ValueError: another program does so already.
    """

    def __init__(self, folder: str, claimed: ExitStack):
        self._folder = folder
        self._claimed = claimed

    def before_train(self) -> None:
        self._claimed.enter_context(sole_use(self._folder))


class ReleaseFolder(HookBase):
    """Gives a folder back once all other hooks have ended."""

    def __init__(self, claimed: ExitStack):
        self._claimed = claimed

    def after_train(self) -> None:
        self._claimed.close()


class SeededIterations(HookBase):
    """Makes each iteration depend only on the seed, its number and the process.

    The model draws (the RoIs it is trained on) from torch's global generator, which is seeded
    before each iteration; the batches start at the iteration that is resumed. Checkpoints store the
    seed: with a negative SEED, a resumed run uses the seed that was drawn first.

    Raises:
        ValueError: before training, in all processes: they have resumed different iterations.
    """

    def __init__(self, seed: int, batches: TrainingBatches | None):
        """
        Args:
            seed: of the config.
            batches: of the trainer's loader; None if it has none.
        """
        self._is_drawn = seed < 0
        self._batches = batches
        if batches is not None:
            seed = batches.seed
        self.seed = comm.shared_random_seed() if seed < 0 else seed

    def before_train(self) -> None:
        seeds, starts = zip(*comm.all_gather((self.seed, self.trainer.start_iter)))
        if len(set(starts)) > 1:  # else weights would differ, and processes wait for each other
            raise ValueError(
                f"the processes start at the iterations {', '.join(map(str, starts))}: OUTPUT_DIR"
                " has to be one folder, which all machines share"
            )
        self.seed = seeds[0]  # a drawn one is that of the first process
        if self._batches is not None:
            self._batches.seed = self.seed
            self._batches.first_iteration = self.trainer.start_iter

    def before_step(self) -> None:
        seed_global_generators(self.seed, Purpose.STEP, self.trainer.iter, comm.get_rank())

    def state_dict(self) -> dict:
        return {"seed": self.seed}

    def load_state_dict(self, state: dict) -> None:
        if self._is_drawn:
            self.seed = state["seed"]
        elif self.seed != state["seed"]:
            logger.warning(
                f"SEED = {self.seed}, but the interrupted run had {state['seed']}: the weights will"
                " differ from those of an uninterrupted run"
            )


class FiniteLosses(HookBase):
    """Stops training at an infinite or NaN loss, and names all losses and the images of the batch.

    Detectron2 checks the losses only after the backward pass, and names no images.

    Raises:
        FloatingPointError: before the backward pass.
    """

    def __init__(self):
        self._forward: Callable | None = None

    def before_train(self) -> None:
        self._forward = self.trainer.model.forward
        self.trainer.model.forward = self._checked_forward

    def after_train(self) -> None:
        if self._forward is not None:
            del self.trainer.model.forward  # back to that of the class

    def _checked_forward(self, batch: list[dict], *arguments, **more):
        try:
            output = self._forward(batch, *arguments, **more)
        except FloatingPointError as error:
            raise FloatingPointError(self._message(str(error), batch)) from error
        if self.trainer.model.training and isinstance(output, dict) and output:
            # One transfer from the device for all losses.
            values = torch.stack([loss.detach().float().sum() for loss in output.values()])
            values = values.tolist()
            if not all(map(math.isfinite, values)):
                losses = ", ".join(f"{name} {value:.4g}" for name, value in zip(output, values))
                raise FloatingPointError(self._message(f"a loss is not finite: {losses}", batch))
        return output

    def _message(self, found: str, batch: list[dict]) -> str:
        images = ", ".join(f"{d.get('image_id')} ({d.get('file_name')})" for d in batch)
        return (
            f"iteration {self.trainer.iter}: {found}; images of the batch: {images}. A lower"
            " SOLVER.BASE_LR, a longer SOLVER.WARMUP_ITERS or SOLVER.CLIP_GRADIENTS.ENABLED True"
            " may help"
        )


class LatestCheckpoint(HookBase):
    """Writes a rolling checkpoint every so many seconds, and one when the run is stopped.

    Ctrl-C (SIGINT) stops a run after the current iteration, or at once during evaluation, with a
    checkpoint and a message that says how to resume. A second Ctrl-C stops it without a checkpoint.
    With a single process, SIGTERM does the same. With several, the launcher sends SIGTERM to the
    others when one has failed and they may wait for it in vain, so there it kills as usual; when
    the launcher itself is killed, its processes get SIGINT.

    Raises:
        KeyboardInterrupt: at either signal, with that message.
    """

    def __init__(self, checkpointer: Checkpointer, seconds: float):
        """
        Args:
            seconds: between rolling checkpoints; 0: none.
        """
        self._checkpointer = checkpointer
        self._seconds = seconds
        self._saved_at = 0.0
        self._is_told = False
        self._finished: int | None = None
        self._stopping = False
        self._handlers: dict = {}

    def before_train(self) -> None:
        self._saved_at = time.monotonic()
        last = os.path.join(self._checkpointer.save_dir, "last_checkpoint")
        if comm.is_main_process() and self.trainer.start_iter == 0 and os.path.exists(last):
            os.replace(last, f"{last}.before")
            logger.warning(
                f"{last} was of another run, which --resume must not continue: it was renamed to"
                f" {last}.before"
            )
        # Only the main thread can handle signals.
        if threading.current_thread() is threading.main_thread():
            alone = comm.get_world_size() == 1
            for number in (signal.SIGINT, signal.SIGTERM) if alone else (signal.SIGINT,):
                self._handlers[number] = signal.signal(number, self._told_to_stop)

    def after_step(self) -> None:
        self._finished = self.trainer.iter
        # All processes stop together: otherwise some would wait for the others for ever.
        if any(comm.all_gather(self._is_told)):
            self._stop()
        if self._is_finished():
            self._remove()
        elif self._seconds > 0 and time.monotonic() - self._saved_at >= self._seconds:
            self._save()

    def after_train(self) -> None:
        for number, handler in self._handlers.items():
            # None: it was not set from Python, and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._stopping:
            if not self._is_finished():
                self._save()
            logger.info(self._farewell())

    def _told_to_stop(self, number: int, frame) -> None:
        if self._is_told:
            raise KeyboardInterrupt("Stopped at once, without a checkpoint")
        self._is_told = True
        # Between iterations, stop at once; but not with several processes, since the others would
        # wait for this one.
        if self._finished == self.trainer.iter and comm.get_world_size() == 1:
            self._stop()
        # Not through the logger, which the signal may have interrupted.
        os.write(2, b"\nStopping after this iteration; Ctrl-C again stops at once, unsaved\n")

    def _stop(self) -> None:
        self._stopping = True
        raise KeyboardInterrupt(self._farewell())

    def _farewell(self) -> str:
        trainer, folder = self.trainer, self._checkpointer.save_dir
        name = "model_final.pth" if self._is_finished() else f"{LATEST}.pth"
        return (
            f"Stopped after iteration {trainer.iter} of {trainer.max_iter}, saved as"
            f" {os.path.join(folder, name)}. To go on, run the same command with --resume"
        )

    def _is_finished(self) -> bool:
        return self.trainer.iter + 1 >= self.trainer.max_iter

    def _save(self) -> None:
        self._checkpointer.save(LATEST, iteration=self.trainer.iter)
        self._saved_at = time.monotonic()

    def _remove(self) -> None:
        """Removes the rolling checkpoint, which the final one supersedes."""
        path = os.path.join(self._checkpointer.save_dir, f"{LATEST}.pth")
        files = self._checkpointer.path_manager
        if (
            comm.is_main_process()
            and files.exists(path)
            and self._checkpointer.get_checkpoint_file() != path
        ):
            files.rm(path)
