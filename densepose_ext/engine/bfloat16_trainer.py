"""Training in bfloat16 on the CPU, as Detectron2's AMPTrainer trains in half precision on a GPU."""

from __future__ import annotations

import torch
from detectron2.engine import SimpleTrainer
from torch import nn


class BFloat16Trainer(SimpleTrainer):
    """SimpleTrainer whose convolutions and products compute in bfloat16, by torch's autocast.

    bfloat16 has the range of single precision: losses need no scaling. Weights, their gradients and
    the optimizer's state stay in single precision, and so do losses and normalization.
    """

    def __init__(self, model: nn.Module, *args, **kwargs):
        """
        Args:
            model: on the CPU.
            args, kwargs: as for SimpleTrainer.
        """
        super().__init__(model, *args, **kwargs)
        keep_norms_in_single_precision(model)

    def run_step(self) -> None:
        forward = self.model.forward
        self.model.forward = torch.autocast("cpu", torch.bfloat16)(forward)
        try:
            super().run_step()
        finally:
            self.model.forward = forward


def keep_norms_in_single_precision(model: nn.Module) -> None:
    """Has GroupNorm computed in single precision, in place, as autocast does on a GPU.

    That of the CPU leaves them in bfloat16, which takes five times as long there.
    """
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.register_forward_pre_hook(_in_single_precision)


def multiplies_bfloat16() -> bool:
    """Whether the CPU has units for products of matrices in bfloat16 (AMX).

    With them a step of ``make demo`` takes four fifths of the time or less.
    """
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16", False))


def _in_single_precision(module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    return tuple(x.float() for x in inputs)
