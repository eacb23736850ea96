"""Checks before a run that its output folder can take what it will write."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch
from torch import nn

from ..files.writable_folder import make_writable


def check_writable(folder: str) -> None:
    """Makes the folder if it is missing, and checks that files can be written there.

    Raises:
        OSError: they cannot; the message names the folder and the reason.
    """
    try:
        make_writable(folder)
    except OSError as error:
        raise OSError(
            f"OUTPUT_DIR = {os.path.abspath(folder)} cannot be written to: {error.strerror};"
            f" {_free_bytes(folder):,} bytes are free there"
        ) from error


def checkpoints_to_come(folder: str, max_iter: int, period: int) -> int:
    """Number of files that a run will add: those kept, the final one, and one being written.

    Args:
        folder: may hold checkpoints of a run that is resumed.
        max_iter, period: SOLVER.MAX_ITER, SOLVER.CHECKPOINT_PERIOD.
    """
    there = len(list(Path(folder).glob("model_[0-9]*.pth")))
    return max(max_iter // max(period, 1) - there, 0) + 3


def check_space(folder: str, checkpoint_bytes: int, count: int) -> None:
    """Checks that the disk has room for all checkpoints of a run.

    Args:
        checkpoint_bytes: size of one checkpoint.
        count: how many will be written.

    Raises:
        OSError: it has not; the message names the folder, the free bytes and the bytes needed.
    """
    free, needed = _free_bytes(folder), count * checkpoint_bytes
    if free < needed:
        raise OSError(
            f"OUTPUT_DIR = {os.path.abspath(folder)} has {free:,} bytes free, but training needs"
            f" about {needed:,} for {count} checkpoints of {checkpoint_bytes:,}. A larger"
            " SOLVER.CHECKPOINT_PERIOD makes fewer"
        )


def checkpoint_bytes(
    model: nn.Module, optimizer: torch.optim.Optimizer, is_averaged: bool = False
) -> int:
    """Approximate size of a checkpoint: the state of the model and of the optimizer.

    An optimizer has no state before its first step, so its size is derived from its kind.

    Args:
        is_averaged: whether the weights are averaged, and saved beside their average.
    """
    trained = sum(_bytes(p) for p in model.parameters() if p.requires_grad) if is_averaged else 0
    averages = 0
    for group in optimizer.param_groups:
        # Adam and AdamW keep two averages of each gradient, Muon and SGD with momentum one.
        two = "betas" in group and not group.get("orthogonal")
        count = 2 if two else int(bool(group.get("momentum")))
        averages += count * sum(map(_bytes, group["params"]))
    return sum(map(_bytes, model.state_dict().values())) + averages + trained


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _free_bytes(folder: str) -> int:
    """Free bytes of the file system that a folder is on, or would be made on."""
    folder = os.path.abspath(folder)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free
