"""Pickling of tensors that are views, without the rest of their storage."""

from __future__ import annotations

import torch


def owned(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, or a copy if it is a view of a larger one.

    torch keeps the whole storage of a view alive, and pickles all of it.
    """
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()


class PickledAlone:
    """Mixin: attributes that are views are pickled, sent and deep-copied as they are, alone."""

    def __getstate__(self) -> dict:
        return {
            name: owned(value) if isinstance(value, torch.Tensor) else value
            for name, value in vars(self).items()
        }
