"""Hooks of Detectron2's trainer that let a run be stopped, killed and resumed at any moment."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable

import torch
from detectron2.engine import DefaultTrainer, HookBase
from detectron2.engine.hooks import EvalHook
from detectron2.utils import comm
from fvcore.common.checkpoint import Checkpointer

from ..data.sampler import TrainingBatches
from ..data.seeding import Purpose, seed_global_generators
from .output_folder import check_space, checkpoint_bytes, checkpoints_to_come
from .test_sets import check_test_sets

logger = logging.getLogger(f"detectron2.{__name__}")

#: Name of the rolling checkpoint, without its extension.
LATEST = "model_latest"


def with_training_hooks(trainer: DefaultTrainer, hooks: list) -> list:
    """The hooks of a trainer that is being built, and those of this module.

    Called for hooks that hold these already it changes nothing.

    Raises:
        OSError: OUTPUT_DIR has no room for the checkpoints.
        ValueError, OSError: a test set cannot be scored.
    """
    if any(isinstance(hook, SeededIterations) for hook in hooks):
        return hooks
    cfg = trainer.cfg
    if cfg.OUTPUT_DIR and comm.is_main_process():
        solver = cfg.SOLVER
        count = checkpoints_to_come(cfg.OUTPUT_DIR, solver.MAX_ITER, solver.CHECKPOINT_PERIOD)
        check_space(cfg.OUTPUT_DIR, checkpoint_bytes(trainer.model, trainer.optimizer), count)
    if comm.is_main_process():
        check_test_sets(trainer)
    batches = getattr(trainer.data_loader, "batch_sampler", None)
    latest = LatestCheckpoint(trainer.checkpointer, cfg.SOLVER.CHECKPOINT_SECONDS)
    # Evaluation can take long, and what comes before it would not be saved until its end.
    places = (n for n, hook in enumerate(hooks) if isinstance(hook, EvalHook))
    place = next(places, len(hooks))
    return [
        SeededIterations(cfg.SEED, batches if isinstance(batches, TrainingBatches) else None),
        FiniteLosses(),
        *hooks[:place],
        latest,
        *hooks[place:],
    ]


class SeededIterations(HookBase):
    """Makes each iteration a function of the seed, its number and the process.

    What the model draws (the RoIs it is trained on) comes from torch's global generator, which is
    seeded before each iteration; the batches start where the run does. The seed is stored in
    checkpoints: where SEED is negative, a resumed run goes on with the one that was drawn.
    """

    def __init__(self, seed: int, batches: TrainingBatches | None):
        """
        Args:
            seed: of the config.
            batches: of the trainer; None if its loader has none.
        """
        self._is_drawn = seed < 0
        self._batches = batches
        if batches is not None:
            seed = batches.seed
        self.seed = comm.shared_random_seed() if seed < 0 else seed

    def before_train(self) -> None:
        # The main process may be the only one that could read the checkpoint.
        self.seed = comm.all_gather(self.seed)[0]
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
                f"SEED = {self.seed}, the interrupted run had {state['seed']}: the weights will"
                " not be those of a run without interruption"
            )


class FiniteLosses(HookBase):
    """Stops training at a loss that is infinite or no number, naming the images it came from.

    Detectron2 looks at the losses after the backward pass, and within the model at the RPN's
    scores; it names neither losses that are still sound nor images.

    Raises:
        FloatingPointError: before anything is learned from them.
    """

    def __init__(self):
        self._forward: Callable | None = None

    def before_train(self) -> None:
        self._forward = self.trainer.model.forward
        self.trainer.model.forward = self._checked_forward

    def after_train(self) -> None:
        if self._forward is not None:
            del self.trainer.model.forward  # the class has its own

    def _checked_forward(self, batch: list[dict], *arguments, **more):
        try:
            output = self._forward(batch, *arguments, **more)
        except FloatingPointError as error:
            raise FloatingPointError(self._message(str(error), batch)) from error
        if self.trainer.model.training and isinstance(output, dict) and output:
            # One transfer from the device for all of them.
            values = torch.stack([loss.detach().float().sum() for loss in output.values()])
            values = values.tolist()
            if not all(map(math.isfinite, values)):
                losses = ", ".join(f"{name} {value:.4g}" for name, value in zip(output, values))
                raise FloatingPointError(self._message(f"a loss is no number: {losses}", batch))
        return output

    def _message(self, found: str, batch: list[dict]) -> str:
        images = ", ".join(f"{d.get('image_id')} ({d.get('file_name')})" for d in batch)
        return (
            f"iteration {self.trainer.iter}: {found}; images of the batch: {images}. A lower"
            " SOLVER.BASE_LR, a longer SOLVER.WARMUP_ITERS or SOLVER.CLIP_GRADIENTS.ENABLED True"
            " may help"
        )


class LatestCheckpoint(HookBase):
    """A rolling checkpoint by the clock, and one when the run is told to stop.

    Ctrl-C (SIGINT) ends a run after the iteration in progress, at once in the midst of evaluation,
    with a checkpoint and a line that says how to go on; a second one ends it without. So does
    SIGTERM where there is one process. Among several SIGTERM is what a failed process makes the
    launcher send to the others, which may wait for it in vain: there it kills as ever, and when the
    launcher itself is killed, its processes get SIGINT.

    Raises:
        KeyboardInterrupt: at either signal, with that line as its message.
    """

    def __init__(self, checkpointer: Checkpointer, seconds: float):
        """
        Args:
            seconds: between rolling checkpoints; 0 for none.
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
                f"{last} was of another run, with which --resume must not go on: it is now"
                f" {last}.before"
            )
        # Python lets no other thread handle signals.
        if threading.current_thread() is threading.main_thread():
            alone = comm.get_world_size() == 1
            for number in (signal.SIGINT, signal.SIGTERM) if alone else (signal.SIGINT,):
                self._handlers[number] = signal.signal(number, self._told_to_stop)

    def after_step(self) -> None:
        self._finished = self.trainer.iter
        # All processes stop together, or some would wait for the others.
        if any(comm.all_gather(self._is_told)):
            self._stop()
        if self._is_finished():
            self._remove()
        elif self._seconds > 0 and time.monotonic() - self._saved_at >= self._seconds:
            self._save()

    def after_train(self) -> None:
        for number, handler in self._handlers.items():
            # None: it was not set by Python, and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._stopping:
            if not self._is_finished():
                self._save()
            logger.info(self._farewell())

    def _told_to_stop(self, number: int, frame) -> None:
        if self._is_told:
            raise KeyboardInterrupt("Stopped at once, without a checkpoint")
        self._is_told = True
        # Between iterations there is nothing to wait for. But among several processes the others
        # could not know, and would wait for this one.
        if self._finished == self.trainer.iter and comm.get_world_size() == 1:
            self._stop()
        # Not by the logger, which this signal may have interrupted.
        os.write(2, b"\nStopping after this iteration; once more stops at once, without saving\n")

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
        """The final checkpoint is there, and later."""
        path = os.path.join(self._checkpointer.save_dir, f"{LATEST}.pth")
        files = self._checkpointer.path_manager
        if (
            comm.is_main_process()
            and files.exists(path)
            and self._checkpointer.get_checkpoint_file() != path
        ):
            files.rm(path)
