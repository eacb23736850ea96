"""Initializes the later stages of a cascade from the weights of a model without one."""

from __future__ import annotations

import logging

import torch
from torch import nn

from .cascade import DensePoseCascade
from .stage import TASKS

logger = logging.getLogger(f"detectron2.{__name__}")


def copy_first_stage(
    state: dict[str, torch.Tensor], prefix: str, first: nn.Module, cascade: DensePoseCascade
) -> None:
    """Adds copies of the first stage's branches to weights that lack the later stages.

    Cross-talk starts at zero, so the cascade then starts with the outputs of the model without it.
    A branch whose layers differ between the stages, in number or size, is left out.

    Args:
        state: weights of a model, by name. Changed in place.
        prefix: of the first stage's names.
        first: has the branches of the first stage as submodules.
    """
    for number in range(2, cascade.count + 2):
        stage = f"stage{number}"
        if any(name.startswith(f"{prefix}cascade.{stage}.") for name in state):
            continue
        own = cascade.get_submodule(stage).state_dict()
        sizes = {name: weight.shape for name, weight in first.state_dict().items()}
        for task in TASKS:
            branch = {name for name in own if name.startswith(f"{task}_")}
            of_first = {name for name in sizes if name.startswith(f"{task}_")}
            fits = branch == of_first and all(own[name].shape == sizes[name] for name in branch)
            if not branch or not fits or any(prefix + name not in state for name in branch):
                continue
            state.update(
                {f"{prefix}cascade.{stage}.{name}": state[prefix + name] for name in branch}
            )
            logger.info("%s of the cascade: %s starts as a copy of the first", stage, task)
