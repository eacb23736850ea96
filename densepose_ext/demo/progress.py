"""Training progress, every few seconds."""

from __future__ import annotations

import sys

from detectron2.engine import HookBase
from tqdm import tqdm


class Progress(HookBase):
    """A progress bar with rate, time left and total loss.

    On a terminal, it is one line that is updated; in a file, a new line every few seconds.
    """

    SECONDS = 3.0

    def before_train(self):
        on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc="training",
            total=self.trainer.max_iter,
            initial=self.trainer.start_iter,
            unit="step",
            mininterval=0.5 if on_terminal else self.SECONDS,
            maxinterval=self.SECONDS,
        )

    def after_step(self):
        losses = self.trainer.storage.histories().get("total_loss")
        if losses is not None:
            self._bar.set_postfix_str(f"loss {losses.median(20):.2f}", refresh=False)
        self._bar.update()

    def after_train(self):
        self._bar.close()
