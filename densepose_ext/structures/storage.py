"""Tensors that hold no more than themselves, pickled or sent to another process."""

from __future__ import annotations

import torch


def owned(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, or a copy if it is a view of a larger one.

    torch keeps the whole storage of a view alive, and pickles it whole.
    """
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()


class PickledAlone:
    """Tensors that are views are pickled, sent and deep-copied without what they are views of."""

    def __getstate__(self) -> dict:
        return {
            name: owned(value) if isinstance(value, torch.Tensor) else value
            for name, value in vars(self).items()
        }
