"""What is needed later, made while the model trains already."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence

import torch
from detectron2.data import DatasetCatalog
from detectron2.engine import HookBase

logger = logging.getLogger(f"detectron2.{__name__}")

#: A program of its own: it would keep the training from Python's lock.
_GEODESICS = """
import os
from densepose_ext.surface.surface import BodySurface
os.nice(19)
BodySurface.load().geodesic([0], [0])
"""


def make_meanwhile(datasets: Sequence[str]) -> None:
    """Has sets of synthetic people made, and the distances on the body that scoring takes.

    Returns at once. The people are made by processes of low priority, and who asks for a set before
    it is there waits for it. What goes wrong is left to those who ask.
    """
    threading.Thread(target=_make, args=(datasets,), daemon=True).start()


def _make(datasets: Sequence[str]) -> None:
    try:
        for name in datasets:
            DatasetCatalog.get(name)
        subprocess.run([sys.executable, "-W", "ignore", "-c", _GEODESICS], check=True)
    # A full disk, a process that died, a folder with other images: what making a set can raise.
    except (OSError, RuntimeError, ValueError, subprocess.CalledProcessError) as error:
        logger.warning(f"while the model trains: {error}")


class SharedCores(HookBase):
    """Trains with half of the threads for some iterations, then with all.

    Threads that share their cores with other processes wait for one another most of the time.
    """

    def __init__(self, iterations: int):
        """
        Args:
            iterations: with half of the threads.
        """
        self._iterations = iterations
        self._all = torch.get_num_threads()

    def before_step(self) -> None:
        shared = self.trainer.iter < self._iterations
        wanted = max(self._all // 2, 1) if shared else self._all
        if torch.get_num_threads() != wanted:
            torch.set_num_threads(wanted)

    def after_train(self) -> None:
        torch.set_num_threads(self._all)
